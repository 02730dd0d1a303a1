from pathlib import Path

import pytest

from study.home.file_systems import Mount, mounts, network_mount


@pytest.mark.parametrize(
    ("kind", "is_network"),
    [
        *[(kind, False) for kind in ("ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", "fuseblk", "fuse")],
        *[(f"fuse.{driver}", False) for driver in ("fuse-overlayfs", "mergerfs", "gocryptfs", "bindfs")],
        *[(kind, True) for kind in ("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "afs", "9p")],
        *[(f"fuse.{driver}", True) for driver in ("sshfs", "glusterfs", "ceph-fuse", "s3fs", "a-new-one")],
    ],
)
def test_network_file_systems_are_told_from_disks(tmp_path: Path, kind: str, is_network: bool):
    table = [Mount(folder="/", kind="ext4"), Mount(folder=str(tmp_path), kind=kind)]
    assert (network_mount(tmp_path / "home", table) is not None) == is_network


def test_the_deepest_mount_above_a_path_counts_and_of_those_in_one_place_the_latest(tmp_path: Path):
    (tmp_path / "shared" / "disk").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "shared" / "disk" / "home")
    shared, disk = str(tmp_path / "shared"), str(tmp_path / "shared" / "disk")
    table = [Mount(folder=disk, kind="ext4"), Mount(folder=shared, kind="autofs"), Mount(folder=shared, kind="nfs4")]
    found = network_mount(tmp_path / "shared" / "home", table)
    assert str(found) == f"nfs4 at {shared}"
    assert network_mount(tmp_path / "shared-not" / "home", table) is None
    assert network_mount(tmp_path / "link", table) is None
    assert network_mount(Path(shared), [*table, Mount(folder=shared, kind="ext4")]) is None


def test_every_machine_has_a_file_system_at_its_root():
    assert any(mount.folder == "/" and mount.kind for mount in mounts())
