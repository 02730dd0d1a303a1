"""Request for something that is made of new videos, and the command line that asks for it."""

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class VideoRequest:
    """Request of `predict` or `embed`.

    Attributes:
        verb: name of the command.
        trial: the trial.
        videos: files and folders.
        output: the folder to write to.
        fps: rate of images; None where there are none.
        keep_frames: whether frames and features stay in the home folder.
        threads: how many may compute; None for as many as there are.
        gpus_per_worker: GPUs to compute on; None for one where there is any.
    """

    verb: str
    trial: str
    videos: tuple[Path, ...]
    output: Path
    fps: float | None
    keep_frames: bool
    threads: int | None
    gpus_per_worker: float | None

    @property
    def command(self) -> str:
        """The command line that asks for this, without the home folder."""
        named = {"--fps": self.fps, "--gpus-per-worker": self.gpus_per_worker, "--threads": self.threads}
        options = [f"--output {shlex.quote(str(self.output))}", *(["--keep-frames"] if self.keep_frames else [])]
        options += [f"{name} {value:g}" for name, value in named.items() if value is not None]
        return " ".join(["freelunch", self.verb, *map(shlex.quote, [self.trial, *map(str, self.videos)]), *options])
