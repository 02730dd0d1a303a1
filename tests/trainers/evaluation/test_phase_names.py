"""Names of phases from a data set or a file."""

from pathlib import Path

import pytest

from trainers.data.datasets import cholec80, m2cai16
from trainers.evaluation.phase_names import PhaseNames, phase_names
from trainers.stage import InputError


def names_of(tmp_path: Path, text: str) -> PhaseNames:
    path = tmp_path / "names.txt"
    path.write_text(text, encoding="utf-8")
    return phase_names(str(path))


def test_known_data_sets_have_names_and_no_numbers_but_for_those_that_are_released_with_them() -> None:
    assert phase_names("cholec80").names == cholec80.PHASES
    assert phase_names("m2cai16").names == m2cai16.PHASES
    numbers = {name: phase_names(name).first_number for name in ("cholec80", "m2cai16", "frames", "autolaparo")}
    assert numbers == {"cholec80": None, "m2cai16": None, "frames": None, "autolaparo": 1}


def test_a_description_has_names_and_says_how_annotations_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(
        'phases = ["Access", "Closure"]\nvideos = "{name}.mkv"\n[annotations]\nfiles = "{name}.csv"\n'
        'format = "intervals"\nunit = "hh:mm:ss"\n'
    )
    names = phase_names(str(path))
    assert (names.names, names.first_number) == (("Access", "Closure"), 0)
    assert names.layout is not None
    assert (names.layout.kind, names.layout.unit) == ("intervals", "hh:mm:ss")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Preparation\nIncision\n\nClosing the wound\n", 0),
        ("0 Preparation\n1 Incision\n2 Closing the wound", 0),
        ("1\tPreparation\n2\tIncision\n3\tClosing the wound\n", 1),
        ("5, Preparation\r\n6: Incision\r\n7;Closing the wound\r\n", 5),
    ],
)
def test_a_file_gives_the_order_and_the_number_of_the_first(tmp_path: Path, text: str, first: int) -> None:
    expected = PhaseNames(names=("Preparation", "Incision", "Closing the wound"), first_number=first)
    assert names_of(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names.txt is empty"),
        ("1 a\n3 b\n", "names.txt:2 has number 3 where 2 is due"),
        ("a\nb\na\n", "names.txt:3 names 'a' again, after line 1"),
        ("\n".join(f"phase{n}" for n in range(200)), "names.txt has 200 phases"),
        ("a\nb\x07\n", "cannot name the phase in .*names.txt:2"),
    ],
)
def test_a_file_that_names_no_phases_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        names_of(tmp_path, text)


def test_what_is_neither_a_data_set_nor_a_file_is_refused() -> None:
    with pytest.raises(InputError, match="'cholec81', which is neither a file nor one of cholec80, m2cai16"):
        phase_names("cholec81")
