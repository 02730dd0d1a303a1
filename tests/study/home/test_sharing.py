"""Homes that several users share; only root can be several users."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from study.core.store import Store
from study.home.files import locked, write_json
from study.home.scratch import own_folder
from study.home.sharing import check_shared, publish_to_group, share_with_group
from tests.study.tiny_cli import called
from tests.study.tiny_home import refused
from tests.trainers.public_files import torchvision_file
from trainers.networks.backbones import Backbone
from trainers.stage import FreelunchError, MachineError

ALICE, BOB, TEAM = 61001, 61002, 61000
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as several users")


def as_user(user: int, act: Callable[[], object], umask: int = 0o022) -> str:
    """What a user of the team, in a process of their own, is told when they act; empty where nothing is wrong."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        told = "the process failed"
        try:
            os.setgroups([TEAM])
            os.setgid(user)
            os.setuid(user)
            os.umask(umask)
            act()
            told = ""
        except (FreelunchError, OSError) as error:
            told = str(error)
        finally:
            os.write(write, told.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        told = file.read()
    os.waitpid(child, 0)
    return told


@pytest.fixture
def shared() -> Iterator[Path]:
    """A home of a team."""
    with TemporaryDirectory() as folder:  # pytest keeps other users from its own
        Path(folder).chmod(0o755)
        home = Path(folder, "home")
        home.mkdir()
        os.chown(home, ALICE, TEAM)
        home.chmod(0o2775)
        yield home


def work(home: Path) -> None:
    """Makes in a home what commands make there."""
    check_shared(home, writing=True)
    store = Store(home)
    with store.claim("a key") as folder:
        (folder / "log.txt").open("a").close()
    write_json(home / "request.json", {})
    with locked(home / "studies" / "lock"):
        pass


@as_root
def test_what_one_user_makes_in_a_shared_home_the_others_use_whatever_their_umask_is(shared: Path):
    for user, umask in ((ALICE, 0o022), (BOB, 0o077), (ALICE, 0o027), (BOB, 0o022)):
        assert as_user(user, lambda: work(shared), umask) == ""
    for path in shared.rglob("*"):
        assert path.stat().st_gid == TEAM
        assert path.stat().st_mode & (stat.S_IRGRP | stat.S_IWGRP) == stat.S_IRGRP | stat.S_IWGRP, path


@as_root
@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda home: home.chmod(0o755), "cannot be written"),
        (lambda home: (home / "locks" / "a key").chmod(0o644), "locks/a key of user 61001 cannot be written"),
        (lambda home: (home / "unfinished" / "a key").chmod(0o755), "unfinished/a key of user 61001 cannot be written"),
        (lambda home: (home / "studies").chmod(0o700), "studies of user 61001 cannot be read"),
        (lambda home: (home / "request.json").chmod(0o600), "request.json of user 61001 cannot be read"),
    ],
)
def test_what_another_user_cannot_use_is_said_with_the_command_that_changes_it_before_anything_is_made(
    shared: Path, spoil: Callable[[Path], None], fault: str
):
    assert as_user(ALICE, lambda: work(shared)) == ""
    spoil(shared)
    before = sorted(shared.rglob("*"))
    told = as_user(BOB, lambda: work(shared))
    assert fault in told
    assert f"chmod -R g+rwX {shared} && find {shared} -type d -exec chmod g+s {{}} +`" in told
    assert sorted(shared.rglob("*")) == before
    assert os.system(told.partition("types `")[2].partition("`")[0]) == 0
    assert as_user(BOB, lambda: work(shared)) == ""


@as_root
def test_a_home_that_others_may_only_read_is_read(shared: Path):
    assert as_user(ALICE, lambda: work(shared)) == ""
    for path in (shared, *shared.rglob("*")):
        path.chmod(path.stat().st_mode & ~stat.S_IWGRP)
    assert as_user(BOB, lambda: check_shared(shared, writing=False)) == ""
    (shared / "artifacts" / "key").mkdir(mode=0o700)
    os.chown(shared / "artifacts" / "key", ALICE, TEAM)
    assert "artifacts/key of user 61001 cannot be read" in as_user(BOB, lambda: check_shared(shared, writing=False))


@pytest.mark.parametrize(("home_mode", "expected"), [(0o2775, 0o664), (0o755, 0o600)])
def test_a_finished_stage_is_the_groups_where_the_home_is(tmp_path: Path, home_mode: int, expected: int):
    folder = tmp_path / "unfinished" / "key"
    folder.mkdir(parents=True)
    folder.parent.chmod(home_mode)
    (folder / "weights.pt").touch(mode=0o600)
    (folder / "weights.pt").chmod(0o600 if home_mode == 0o755 else 0o604)
    publish_to_group(folder)
    assert stat.S_IMODE((folder / "weights.pt").stat().st_mode) == expected


def test_files_are_the_groups_where_the_home_is(tmp_path: Path):
    umask = os.umask(0o077)
    try:
        tmp_path.chmod(0o700)
        share_with_group(tmp_path)
        (tmp_path / "own").touch()
        tmp_path.chmod(0o770)
        share_with_group(tmp_path)
        (tmp_path / "shared").touch()
    finally:
        os.umask(umask)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("own", "shared")] == [0o600, 0o660]


@as_root
def test_weights_that_one_user_names_another_can_name_otherwise(shared: Path):
    file, _ = torchvision_file(shared.parent / "network.pth", Backbone(architecture="resnet18"))
    file.chmod(0o644)

    def add() -> None:
        result = called(shared, "weights", "add", str(file), "--name", "public")
        if result.exit_code:
            raise MachineError(result.output)

    for user in (ALICE, BOB):
        assert as_user(user, add) == ""
    assert stat.S_IMODE((shared / "weights").stat().st_mode) & stat.S_IWGRP


@as_root
def test_a_report_that_one_user_writes_another_can_write(shared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("study.cli.history.show_report", lambda study, home: write_json(home / "report.html", {}))
    for user in (ALICE, BOB):
        assert as_user(user, lambda: called(shared, "report", "table3"), umask=0o077) == ""
        assert stat.S_IMODE((shared / "report.html").stat().st_mode) == 0o660


def test_a_home_on_a_read_only_file_system_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def access(path: Path, mode: int) -> bool:
        return not mode & os.W_OK

    monkeypatch.setattr(os, "access", access)
    with pytest.raises(
        MachineError, match=r"home folder .* cannot be written \(Permission denied\): name another with"
    ):
        check_shared(tmp_path, writing=True)
    found = os.statvfs(tmp_path)
    read_only = os.statvfs_result((*found[:8], found.f_flag | os.ST_RDONLY, found.f_namemax))
    monkeypatch.setattr(os, "statvfs", lambda path: read_only)
    for command in (("ingest", "cholec80", str(tmp_path)), ("remove", "3f2a"), ("report", "table3"), ("ui",)):
        refused(called(tmp_path, *command), 3, f"home folder {tmp_path} cannot be written (Read-only file system)")
    check_shared(tmp_path, writing=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_an_output_that_cannot_be_written_is_refused_before_a_video_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
):
    monkeypatch.setattr(os, "access", lambda path, mode: path == tmp_path / "home")
    (tmp_path / "home").mkdir()
    output = tmp_path / "out" / "deeper"
    asked = called(tmp_path / "home", verb, "table3/head", str(tmp_path), "--output", str(output))
    refused(asked, 3, f"the folder {output} cannot be written (Permission denied): name another with --output")
    (tmp_path / "home" / "file").touch()
    for below in ("file", "file/deeper"):
        output = tmp_path / "home" / below
        asked = called(tmp_path / "home", verb, "table3/head", str(tmp_path), "--output", str(output))
        refused(asked, 3, f"the folder {output} cannot be written (Not a directory): name another with --output")
    assert [each.name for each in tmp_path.iterdir()] == ["home"]


def test_an_export_where_nothing_can_be_written_is_refused_before_its_trial_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (tmp_path / "home").mkdir()
    output = tmp_path / "out" / "deeper"
    asked = called(tmp_path / "home", "export", "table3/head", "--format", "moco", "--output", str(output))
    refused(asked, 3, f"the folder {output.parent} cannot be written (Permission denied): name another with --output")
    assert [each.name for each in tmp_path.iterdir()] == ["home"]


@as_root
@pytest.mark.parametrize("is_closed", [False, True])
def test_the_folder_that_a_killed_process_of_another_user_has_left_is_in_nobodys_way(shared: Path, is_closed: bool):
    begun = []

    def begin() -> None:
        check_shared(shared, writing=True)
        begun.append(own_folder(shared / "ray", shared / "locks" / "ray"))
        folder = begun[-1].__enter__()  # the process ends before it is left
        if is_closed:
            folder.chmod(0o700)

    assert as_user(ALICE, begin) == ""
    assert as_user(BOB, begin) == ""
    assert len(list((shared / "ray").iterdir())) == 1 + is_closed  # what can be removed is
