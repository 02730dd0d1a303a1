"""File systems of paths: network ones, where two machines that write one SQLite database can destroy it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

NETWORK = re.compile(
    "9p|acfs|afs|beegfs|ceph|cifs|coda|davfs|gfs|gfs2|glusterfs|gpfs|lustre|mmfs|ncpfs|nfs|nfs3|nfs4|ocfs2|orangefs|"
    "panfs|pvfs2|smb2|smb3|smbfs|virtiofs|wekafs|xtreemfs"
)
FUSE = "fuse."
LOCAL_FUSE = re.compile(
    "bindfs|cryfs|ecryptfs|encfs|exfat|fuse-overlayfs|fuseiso|gocryptfs|lxcfs|mergerfs|mhddfs|ntfs-3g|overlayfs|"
    "squashfuse|unionfs|unionfs-fuse|zfs|zfs-fuse"
)
"""Drivers in user space whose files are on disks of this machine; all other ones speak with another machine."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A mounted file system: where, and of which type, as the kernel names it."""

    folder: str
    kind: str

    @property
    def is_network(self) -> bool:
        """Whether other machines may write the same files."""
        if self.kind.startswith(FUSE):
            return not LOCAL_FUSE.fullmatch(self.kind.removeprefix(FUSE))
        return NETWORK.fullmatch(self.kind) is not None

    def __str__(self) -> str:
        return f"{self.kind} at {self.folder}"


def mounts() -> list[Mount]:
    """All file systems of this machine, in the order in which they were mounted."""
    return [Mount(folder=found.mountpoint, kind=found.fstype) for found in psutil.disk_partitions(all=True)]


def network_mount(path: Path, table: Iterable[Mount] | None = None) -> Mount | None:
    """The network file system that a path is on, or None where it is on a disk of this machine.

    Args:
        path: a path; it may not exist yet.
        table: the mounted file systems; those of this machine where not given.
    """
    mount = _mount_of(path, mounts() if table is None else table)
    return mount if mount is not None and mount.is_network else None


def _mount_of(path: Path, table: Iterable[Mount]) -> Mount | None:
    """The file system of a path: the deepest mounted above it, the latest of those in one place."""
    parents = {str(parent): len(parent.parts) for parent in (path.resolve(), *path.resolve().parents)}
    above = [mount for mount in table if mount.folder in parents]
    return max(reversed(above), key=lambda mount: parents[mount.folder], default=None)
