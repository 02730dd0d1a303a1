"""Frames and features of new videos, which are removed from the home folder once outputs are written."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from study.cli.passing import PassingStages
from study.cli.trained_model import TrainedModel
from study.core.graph import key
from study.core.store import Store
from study.home.files import replacing
from study.home.runs import RunningProcess, active_runs
from trainers.data.datasets import registry as datasets
from trainers.data.ingest.video import Ingest
from trainers.runtime.registry import names
from trainers.stage import FreelunchError

MARKS = "predicting"
"""Folder of the marks, and the name that the commands are registered under while they run."""
NEEDS = ".needs"
"""Ending of the file beside the marks that holds the keys which a running command needs."""


class NewFrames:
    """Frames and features that were computed for new videos alone.

    Several commands may run at once, each with a part of the videos: one removes nothing that another needs.

    Args:
        store: the store of the stages.
        model: the model that they are features of.
        process: the running command.
        keep: whether they stay.
    """

    def __init__(self, store: Store, model: TrainedModel, process: RunningProcess, *, keep: bool) -> None:
        self._store, self._model, self._process, self._keep = store, model, process, keep
        self._passing = PassingStages(store, MARKS)

    def need(self, videos: Iterable[Ingest]) -> None:
        """Tells other commands what this one needs, before it looks at what is there."""
        path = self._needs_of(self._process)
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text("\n".join(self._keys(videos)))

    def mark(self, videos: list[Ingest], missing: tuple[str, ...]) -> None:
        """Marks what is computed now and needed no longer than that; those of unlabelled videos of a dataset stay."""
        if self._keep:
            self._passing.keep(self._keys(videos))
            return
        registered = _unlabelled_digests(self._store)
        own = self._keys(video for video in videos if video.video_digest not in registered)
        self._passing.mark(own & set(missing))

    def remove(self, videos: Iterable[Ingest]) -> None:
        """Removes what is marked, except what other commands need."""
        others = [each for each in active_runs(self._store.home, MARKS) if each.id != self._process.id]
        needs = list(map(self._needed_by, others))
        if None not in needs:  # or else one of them has just begun: the rest waits for the end of this command
            self._passing.remove(self._keys(videos).difference(*(each for each in needs if each is not None)))

    def end(self, videos: Iterable[Ingest]) -> None:
        """Removes what could not be removed before, also what a killed run had no time for."""
        self.remove(videos)
        self._needs_of(self._process).unlink(missing_ok=True)
        running = {self._needs_of(each) for each in active_runs(self._store.home, MARKS)}
        for path in self._store.home.joinpath(MARKS).glob(f"*{NEEDS}"):
            if path not in running:
                path.unlink(missing_ok=True)

    def _keys(self, videos: Iterable[Ingest]) -> set[str]:
        return {each for video in videos for each in (key(video), key(self._model.features_of(video)))}

    def _needed_by(self, process: RunningProcess) -> set[str] | None:
        try:
            return set(self._needs_of(process).read_text().split())
        except OSError:
            return None

    def _needs_of(self, process: RunningProcess) -> Path:
        return self._store.home / MARKS / f"{process.id}{NEEDS}"


def _unlabelled_digests(store: Store) -> set[str]:
    """Digests of the unlabelled videos of all datasets: their frames are those of new videos."""
    folder, found = store.home / "datasets", set[str]()
    for name in names(folder):
        with suppress(FreelunchError):  # its files have changed: nothing can use what is stored of them
            recordings = datasets.load(folder, name).recordings
            found |= {recording.video_digest for recording in recordings if recording.annotation is None}
    return found
