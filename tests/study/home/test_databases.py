import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from study.home.databases import create_whole, damage, is_empty, num_rows
from trainers.stage import MachineError


def create(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript("CREATE TABLE versions (name TEXT); INSERT INTO versions VALUES ('head')")


def never(path: Path) -> bool:
    return False


def is_half_made(path: Path) -> bool:
    return not num_rows(path).get("versions")


def test_a_database_appears_whole_and_alone(tmp_path: Path):
    path = tmp_path / "a?b%.db"
    seen = []

    def note(temporary: Path) -> None:
        create(temporary)
        seen.append((temporary.parent, path.exists()))

    assert create_whole(path, note, never) is None
    assert seen == [(tmp_path, False)]
    assert list(tmp_path.iterdir()) == [path]
    assert num_rows(path) == {"versions": 1}


def test_a_creation_that_fails_leaves_nothing_in_the_way_of_the_next(tmp_path: Path):
    path = tmp_path / "x.db"

    def fail(temporary: Path) -> None:
        create(temporary)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        create_whole(path, fail, never)
    (tmp_path / "x.db.0123.part").write_text("of a killed process")
    (tmp_path / "x.db.0123.part-journal").write_text("of a killed process")
    assert not path.exists()
    create_whole(path, create, never)
    assert list(tmp_path.iterdir()) == [path]


def test_of_several_processes_one_creates_a_database(tmp_path: Path):
    created = []

    def note(temporary: Path) -> None:
        create(temporary)
        created.append(temporary)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: create_whole(tmp_path / "x.db", note, is_half_made), range(8))) == [None] * 8
    assert len(created) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


def test_a_database_that_was_left_half_made_is_set_aside_and_a_whole_one_is_left_alone(tmp_path: Path):
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (name TEXT)")
    half = path.read_bytes()
    aside = create_whole(path, create, is_half_made)
    assert aside is not None
    assert aside.read_bytes() == half
    assert num_rows(path) == {"versions": 1}
    assert create_whole(path, create, is_half_made) is None


def test_a_file_of_zeros_is_empty(tmp_path: Path):
    path = tmp_path / "x.db"
    path.write_bytes(bytes(5000))
    assert is_empty(path)
    create(tmp_path / "y.db")
    assert not is_empty(tmp_path / "y.db")


def test_a_database_in_a_folder_of_a_group_is_written_by_the_group(tmp_path: Path):
    for mode, expected in ((0o775, stat.S_IWGRP), (0o755, 0)):
        tmp_path.chmod(mode)
        path = tmp_path / f"{mode:o}.db"
        create_whole(path, create, never)
        assert path.stat().st_mode & stat.S_IWGRP == expected


def test_the_journal_of_a_database_that_is_gone_does_not_reach_a_new_one(tmp_path: Path):
    for ending in ("-journal", "-wal", "-shm"):
        (tmp_path / f"x.db{ending}").write_text("of another database")
    create_whole(tmp_path / "x.db", create, never)
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


def test_damage_is_found(tmp_path: Path):
    path = tmp_path / "a?b%20#é.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE rows (text TEXT)")
        connection.executemany("INSERT INTO rows VALUES (?)", [(f"row {row}" * 100,) for row in range(500)])
    assert damage(path) == ""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "malformed" in damage(path)
    path.write_bytes(whole[:8192] + bytes(8192) + whole[16384:])
    assert damage(path)
    path.write_bytes(b"nonsense" * 1000)
    assert damage(path) == "file is not a database"


def test_a_folder_in_the_place_of_a_database_is_named(tmp_path: Path):
    with pytest.raises(MachineError, match="is a folder, in the place of a database"):
        damage(tmp_path)
