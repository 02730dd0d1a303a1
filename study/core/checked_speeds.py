"""Speeds that checks of studies have measured: their stages are removed, and what they tell of longer ones is kept."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from study.core.manifest import Manifest
from study.home.files import locked, note_ignored, parse_object, write_json
from trainers.records import checked
from trainers.stage import Stage

FILE = "checked_speeds.json"
LONG_SECONDS = 60.0
"""A stage that took so long tells its speed without reports: its start is a small part of it."""


@dataclass(frozen=True, kw_only=True)
class CheckedSpeed:
    """Speed of one kind of stage, as a check has measured it.

    Attributes:
        kind: of the stage, as plans name it.
        device: that computed it.
        host: of the device.
        gpus: that it was granted, over all workers.
        threads: that it was granted, over all workers.
        gmacs_per_frame: of its network.
        expected_seconds: of the short stage, on the reference machine.
        seconds: that it took, without its start, or with it where that was a small part.
        finished: the time.
    """

    kind: str
    device: str
    host: str
    gpus: float
    threads: int
    gmacs_per_frame: float
    expected_seconds: float
    seconds: float
    finished: str

    @property
    def _subject(self) -> tuple[object, ...]:
        """What it tells the speed of: a later one of the same replaces it."""
        return self.kind, self.device, self.gpus, self.threads, self.gmacs_per_frame


def speed_of(stage: Stage, manifest: Manifest) -> CheckedSpeed | None:
    """The speed of a finished stage; None where it was too short to tell, or nobody knows what computed it."""
    long_enough = manifest.seconds if manifest.seconds >= LONG_SECONDS else None
    seconds = manifest.steady_seconds or long_enough
    device, gpus, threads = manifest.device, manifest.gpus, manifest.threads
    if not seconds or manifest.expected_seconds <= 0 or device is None or gpus is None or threads is None:
        return None
    return CheckedSpeed(
        kind=stage.kind,
        device=device,
        host=manifest.host,
        gpus=gpus,
        threads=threads,
        gmacs_per_frame=stage.expected_cost().gmacs_per_frame,
        expected_seconds=manifest.expected_seconds,
        seconds=seconds,
        finished=manifest.finished,
    )


def keep_speed(home: Path, speed: CheckedSpeed) -> None:
    """Adds a speed to those of the home; it replaces an earlier one of the same."""
    with locked(home / "locks" / "checked_speeds"):
        others = [each for each in read_speeds(home) if each._subject != speed._subject]
        write_json(home / FILE, {"speeds": [asdict(each) for each in (*others, speed)]})


def read_speeds(home: Path) -> list[CheckedSpeed]:
    """The speeds that checks have measured in a home; damaged ones are left out."""
    try:
        records = parse_object((home / FILE).read_bytes()).get("speeds")
    except OSError:
        return []
    except ValueError:
        note_ignored(home / FILE)
        return []
    return list(_valid(records if isinstance(records, list) else []))


def _valid(records: Iterable[object]) -> Iterable[CheckedSpeed]:
    for record in records:
        with suppress(TypeError):
            speed = checked(CheckedSpeed(**record)) if isinstance(record, dict) else None
            if speed and speed.expected_seconds > 0 and speed.seconds > 0:
                yield speed
