"""Artifact store: folders named by key on a file system that all nodes share, published whole or not at all.

Layout below the home folder:

    artifacts/<key>/            a finished stage: its files and manifest.json
    unfinished/<key>/           a stage that is computed now, or was interrupted and continues there
    locks/<key>                 held while a stage is being computed
    removed/                    folders that are being deleted
"""

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from study.core.disk import translate_disk_errors
from study.core.manifest import (
    COMPUTED,
    CONTENT_CHECK_BYTES,
    LOG,
    MANIFEST,
    NOT_KNOWN,
    PROGRESS,
    Computer,
    Manifest,
    fault_of,
    manifest_of,
    manifest_of_record,
)
from study.home.files import is_locked, parse_object, remove_parts, sync, try_lock, wait_for_lock, write_json
from study.home.scratch import NODE_CHECK, remove_left_files
from study.home.sharing import publish_to_group, share_with_group, unwritable
from trainers.stage import InputError, MachineError, Stage


class Store:
    """Artifacts by key.

    Args:
        home: the home folder.
        create: whether to create it where it is missing; a store that is only read does not.

    Raises:
        MachineError: the home folder cannot be written.
    """

    def __init__(self, home: Path, *, create: bool = True) -> None:
        self.home = home.absolute()
        self._artifacts = self.home / "artifacts"
        self._unfinished = self.home / "unfinished"
        self._locks = self.home / "locks"
        self._removed = self.home / "removed"
        try:
            if create:
                self.home.mkdir(parents=True, exist_ok=True)
                share_with_group(self.home)
                for folder in (self._artifacts, self._unfinished, self._locks):
                    folder.mkdir(exist_ok=True)
            elif not self.home.is_dir():
                _try_to_make_something_beside(self.home)
        except OSError as error:
            raise unwritable(self.home, error.strerror or str(error)) from None

    def find(self, key: str) -> Path | None:
        """The folder of a finished stage, or None."""
        folder = self._artifacts / key
        return folder if (folder / MANIFEST).exists() else None

    def manifest(self, key: str) -> Manifest:
        """The manifest of a finished stage.

        Raises:
            MachineError: the manifest cannot be read.
        """
        path = self._artifacts / key / MANIFEST
        try:
            manifest = manifest_of_record(parse_object(path.read_bytes()))
        except OSError as error:
            raise MachineError(f"{path} cannot be read ({error.strerror}): {_advice(key)}.") from None
        except (ValueError, TypeError, AttributeError, OverflowError):
            raise MachineError(f"{path} is damaged: {_advice(key)}.") from None
        if manifest.key != key:
            raise MachineError(f"{path} is the manifest of another stage, {manifest.key[:12]}: {_advice(key)}.")
        return manifest

    def manifests(self) -> Iterator[Manifest]:
        """The manifests of all finished stages but for damaged ones, which fail the plans that need them."""
        for path in sorted(self._artifacts.glob(f"*/{MANIFEST}")):
            with suppress(MachineError):
                yield self.manifest(path.parent.name)

    def check(self, key: str, *, whole: bool = False, only: str | None = None) -> Path:
        """The folder of a finished stage, its files compared with the manifest.

        Args:
            key: the stage's key.
            whole: compare the content of large files too, not just their sizes.
            only: the name of a file; the others are not compared.

        Raises:
            MachineError: a file is missing or is not what was published.
        """
        folder = self._artifacts / key
        manifest = self.manifest(key)
        for name, (size, recorded) in manifest.files.items():
            if only not in (None, name):
                continue
            fault = fault_of(folder / name, size, recorded if whole or size <= CONTENT_CHECK_BYTES else None)
            if fault:
                raise MachineError(f"{folder / name} of {manifest.title} {fault}: {_advice(key)}.")
        return folder

    def remove(self, key: str) -> None:
        """Removes a stage, finished or not, so that it is computed from its beginning when it is next needed.

        Raises:
            MachineError: a process is computing it.
        """
        with self._open_lock(key) as lock:  # held until it is removed, so that no process begins to compute it
            if not try_lock(lock):
                raise MachineError(f"stage {key[:12]} is being computed: interrupt that run first.")
            for folder in (self._artifacts / key, self._unfinished / key):
                if folder.exists():
                    self._discard(folder)

    def unfinished(self, key: str) -> Path | None:
        """The folder of a stage that is at work or was interrupted, or None."""
        folder = self._unfinished / key
        return folder if folder.exists() else None

    def log(self, key: str) -> Path | None:
        """The log of a stage, finished or not, or None where there is none."""
        for folder in (self._artifacts / key, self._unfinished / key):
            if (folder / LOG).exists():
                return folder / LOG
        return None

    def stage_keys(self) -> list[str]:
        """The keys of all stages that have a folder here."""
        parents = [parent for parent in (self._artifacts, self._unfinished) if parent.is_dir()]
        folders = (path for parent in parents for path in parent.iterdir())
        return sorted({path.name for path in folders if path.is_dir()})

    def key_beginning(self, prefix: str) -> str:
        """The whole key of the one stage whose key begins so.

        Raises:
            InputError: no stage's key does, or several do.
        """
        matching = [key for key in self.stage_keys() if key.startswith(prefix)]
        if len(matching) != 1:
            found = f"{len(matching)} stages have keys that begin" if matching else "no stage has a key that begins"
            raise InputError(f"{found} with {prefix!r}: `freelunch status STUDY` shows the keys.")
        return matching[0]

    def is_claimed(self, key: str) -> bool:
        """Whether some process is computing the stage now."""
        return is_locked(self._locks / key)

    @contextmanager
    def claim(self, key: str, waiting: Callable[[], None] = lambda: None) -> Iterator[Path]:
        """Holds the right to compute a stage, and gives the folder to fill, with the files of an interrupted run.

        Args:
            key: the stage's key.
            waiting: called once if another process holds the claim for longer than a second.

        Raises:
            MachineError: the home folder cannot be written, or its file system has no locks.
        """
        with self._open_lock(key) as lock:
            wait_for_lock(lock, waiting)
            yield self._folder_to_fill(key)

    @contextmanager
    def try_claim(self, key: str) -> Iterator[Path | None]:
        """As `claim`, but gives None at once where another process holds the claim.

        Raises:
            MachineError: the home folder cannot be written, or its file system has no locks.
        """
        with self._open_lock(key) as lock:
            yield self._folder_to_fill(key) if try_lock(lock) else None

    def publish(self, stage: Stage, folder: Path, seconds: float, computer: Computer = NOT_KNOWN) -> Path:
        """Makes a filled folder the stage's artifact: everything is synced to disk first, then renamed at once.

        Where this is interrupted, the stage does not run again: `computed_seconds` knows that it has run.

        Raises:
            DiskFullError: the disk is full; what was computed stays in the unfinished folder.
        """
        with translate_disk_errors(folder):
            _sync_all(folder)
            write_json(folder / COMPUTED, {"seconds": seconds}, durable=True)
            manifest = manifest_of(stage, folder, seconds, computer)
            write_json(folder / MANIFEST, asdict(manifest), durable=True)
            (folder / COMPUTED).unlink()
            (folder / PROGRESS).unlink(missing_ok=True)
            for name in (COMPUTED, MANIFEST):
                remove_parts(folder / name)
            publish_to_group(folder)
            target = self._artifacts / manifest.key
            if target.exists():  # without a manifest, or the stage would not have been computed
                self._discard(target)
            folder.rename(target)
            sync(self._artifacts)
        return target

    def clean(self) -> None:
        """Removes what killed processes have left: stages that they were removing, and marks of the home folder."""
        remove_left_files(self.home, NODE_CHECK)
        for left in self._removed.glob("*"):
            shutil.rmtree(left, ignore_errors=True)

    def _discard(self, folder: Path) -> None:
        """Renames a folder out of the way before emptying it, so that a half-emptied one is never found."""
        self._removed.mkdir(exist_ok=True)
        own = self._removed / f"{folder.parent.name}-{folder.name}-{platform.node()}-{os.getpid()}-{time.time_ns()}"
        folder.rename(own)
        shutil.rmtree(own, ignore_errors=True)

    def _open_lock(self, key: str) -> TextIO:
        try:
            self._locks.mkdir(exist_ok=True)
            return (self._locks / key).open("a")
        except OSError as error:
            raise self._unwritable(error) from error

    def _folder_to_fill(self, key: str) -> Path:
        folder = self._unfinished / key
        if self.find(key) is None:
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise self._unwritable(error) from error
        return folder

    def _unwritable(self, error: OSError) -> MachineError:
        return unwritable(self.home, error.strerror or str(error), "free some space, or ")


def _try_to_make_something_beside(home: Path) -> None:
    """Raises the OSError that making a home folder would."""
    if home.is_symlink():  # to itself, or to nothing
        home.stat()
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    tempfile.TemporaryDirectory(dir=place).cleanup()


def _advice(key: str) -> str:
    return f"remove it with `freelunch remove {key[:12]}` and type the same command again, which computes it"


def _sync_all(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        sync(path)
    sync(folder)
