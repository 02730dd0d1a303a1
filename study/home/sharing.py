"""Homes that several users share: what one user makes there, the others of the group can use."""

import errno
import functools
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from trainers.stage import MachineError

ONLY_READ = ("artifacts", "datasets", "weights", "demo-videos")
"""Folders of a home whose files are replaced or removed, but never changed."""
OWN = ("ray", "removed")
"""Folders of a home in which nobody uses what another user left."""


def share_with_group(home: Path) -> None:
    """Has every file that this process and its children make be writable for the group, where the home folder is."""
    if home.stat().st_mode & stat.S_IWGRP:
        os.umask(os.umask(0) & ~stat.S_IRWXG)


def publish_to_group(folder: Path) -> None:
    """Gives the group its rights to a folder whose parent it can write; some libraries keep files to their user."""
    if not folder.parent.stat().st_mode & stat.S_IWGRP:
        return
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        missing = (stat.S_IRWXG if stat.S_ISDIR(mode) else stat.S_IRGRP | stat.S_IWGRP) & ~mode
        if missing and path.stat().st_uid == os.geteuid():
            path.chmod(stat.S_IMODE(mode) | missing)


@functools.cache
def check_shared(home: Path, *, writing: bool) -> None:
    """Checks, once in a process, that this user can use what other users have made in a home.

    What is then written there is the group's, where the home folder is.

    Args:
        home: the home folder; it may not exist yet.
        writing: whether something will be computed in it.

    Raises:
        MachineError: it cannot be used; the sentence has the command that changes this.
    """
    if not home.exists():
        return
    if not home.is_dir():
        raise unwritable(home, os.strerror(errno.ENOTDIR))
    if writing:
        share_with_group(home)
    if os.geteuid() != 0 and _is_shared(home):
        _check_files_of_others(home, writing=writing)
    if writing and (reason := why_unwritable(home)):
        raise unwritable(home, reason)


def check_writable_output(folder: Path) -> None:
    """Refuses a folder of `--output` that cannot be written, or made.

    Raises:
        MachineError: it cannot.
    """
    if reason := why_unwritable(folder):
        raise MachineError(f"the folder {folder} cannot be written ({reason}): name another with --output.")


def why_unwritable(folder: Path) -> str:
    """What the system says where nothing can be written into a folder, or into the one that it would be made in."""
    place = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not place.is_dir():
        return os.strerror(errno.ENOTDIR)
    if os.access(place, os.W_OK | os.X_OK):
        return ""
    is_read_only = os.statvfs(place).f_flag & os.ST_RDONLY
    return os.strerror(errno.EROFS if is_read_only else errno.EACCES)


def unwritable(home: Path, reason: str, remedy: str = "") -> MachineError:
    """The error for a home folder that cannot be written.

    Args:
        home: the folder.
        reason: what the system says.
        remedy: the beginning of what to do, in addition.
    """
    return MachineError(
        f"the home folder {home} cannot be written ({reason}): {remedy}name another with --home or FREELUNCH_HOME."
    )


def _check_files_of_others(home: Path, *, writing: bool) -> None:
    """The check of a home of which files are other users', or may be."""
    found = home.stat()
    if writing and found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISGID and found.st_gid != os.getegid():
        raise _not_shared(home, home, "keeps no group for new files")
    for path in _of_others(home):
        if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
            raise _not_shared(home, path, "cannot be read")
        if writing and _changes(path, home) and not os.access(path, os.W_OK):
            raise _not_shared(home, path, "cannot be written")


def _is_shared(home: Path) -> bool:
    found = home.stat()
    return found.st_uid != os.geteuid() or bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _of_others(folder: Path) -> Iterator[Path]:
    """Files and folders of other users, those without which no other can be reached first."""
    user = os.geteuid()
    for place, folders, files in os.walk(folder):
        if Path(place).lstat().st_uid != user:
            yield Path(place)
        skipped = [name for name in folders if name in OWN and Path(place) == folder]
        folders[:] = [name for name in folders if name not in skipped]
        for name in sorted([*files, *skipped]):
            path = Path(place, name)
            try:
                is_of_another = path.lstat().st_uid != user and not path.is_symlink()
            except FileNotFoundError:  # renamed or removed meanwhile
                continue
            if is_of_another:
                yield path
        for name in sorted(folders):
            if not os.access(Path(place, name), os.R_OK | os.X_OK):
                yield Path(place, name)  # which is not walked through


def _changes(path: Path, home: Path) -> bool:
    """Whether a command may write a file or folder; what is in a finished stage is only read."""
    parts = path.relative_to(home).parts
    return not parts or parts[0] not in ONLY_READ or (path.is_dir() and len(parts) == 1)


def _not_shared(home: Path, path: Path, fault: str) -> MachineError:
    found, place = home.stat(), shlex.quote(str(home.absolute()))
    group = _group(found.st_gid) if found.st_gid in (os.getegid(), *os.getgroups()) else "GROUP"
    owner = _user(path.stat().st_uid)
    return MachineError(
        f"the home folder {home} is shared, but {path} of user {owner} {fault} by user {_user(os.geteuid())}: its "
        f"owner, or root, types `chgrp -R {group} {place} && chmod -R g+rwX {place} && "
        f"find {place} -type d -exec chmod g+s {{}} +` once, or name another home with --home."
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
