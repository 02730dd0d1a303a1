from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainers.data.datasets.cholec80 import PHASES
from trainers.data.datasets.recordings import digest
from trainers.data.ingest.annotations import read_phases
from trainers.stage import InputError

HEADER = "Frame\tPhase\n"


@pytest.fixture
def annotation(tmp_path: Path) -> Callable[[str], Path]:
    def write(content: str) -> Path:
        path = tmp_path / "video01-phase.txt"
        path.write_bytes(content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        HEADER + "0\tPreparation\n1\tClippingCutting\n2\tGallbladderRetraction\n",
        HEADER + "0 Preparation \n1  ClippingCutting\n2\t GallbladderRetraction\n\n \n",
        (HEADER + "0\tPreparation\n1\tClippingCutting\n2\tGallbladderRetraction").replace("\n", "\r\n"),
        "\ufeff" + HEADER + "0\tPreparation\n1\tClippingCutting\n2\tGallbladderRetraction\n",
    ],
    ids=["as released", "spaces", "Windows line ends", "byte order mark"],
)
def test_phases_are_read_by_name(annotation: Callable[[str], Path], content: str):
    labels = read_phases(annotation(content), PHASES)
    assert labels.dtype == np.int8
    assert labels.tolist() == [0, 2, 6]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", r" is empty: copy it again"),
        (HEADER, r" is empty: copy it again"),
        ("0\tPreparation\n1\tPreparation\n", r":1 is a row where the header .* should be: put the header back"),
        (
            HEADER + "0\tPreparation\n1\tClippingCuting\n",
            r":3 .* phase 'ClippingCuting': did you mean 'ClippingCutting'\?",
        ),
        (HEADER + "0\t3\n", r":2 names the unknown phase '3': it has to be one of Preparation, Calot"),
        (HEADER + "0\tPreparation\n2\tPreparation\n", r":3 is frame 2 where frame 1 is due: put the missing"),
        (HEADER + "0\tPreparation\n0\tPreparation\n", r":3 is frame 0 where frame 1 is due"),
        (HEADER + "1\tPreparation\n", r":2 is frame 1 where frame 0 is due"),
        (HEADER + "0\tPreparation\n\n1\tPreparation\n", r":3 reads '' instead of"),
        (HEADER + "0\tPreparation\n1\n", r":3 reads '1' instead of"),
        (HEADER + "0\tPreparation\tx\n", r":2 reads '0\\tPreparation\\tx' instead of 'frame<TAB>phase': correct"),
        (HEADER + "0.0\tPreparation\n", r":2 reads '0\.0\\tPreparation' instead of"),
        (HEADER + "-1\tPreparation\n", r":2 reads '-1\\tPreparation' instead of"),
    ],
)
def test_a_faulty_row_is_named_with_its_line(annotation: Callable[[str], Path], content: str, complaint: str):
    with pytest.raises(InputError, match=r"video01-phase\.txt" + complaint):
        read_phases(annotation(content), PHASES)


def test_an_annotation_that_is_missing_or_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "video01-phase.txt"
    with pytest.raises(InputError, match=r"video01-phase\.txt does not exist: copy it"):
        read_phases(path, PHASES)
    path.write_bytes(b"Frame\xff\xfe")
    with pytest.raises(InputError, match=r"video01-phase\.txt is not a text file \(byte 5\)"):
        read_phases(path, PHASES)


def test_the_digest_is_of_the_content_alone(tmp_path: Path):
    for name, content in (("a", b"x" * 3_000_000), ("b", b"x" * 3_000_000), ("c", b"x" * 2_999_999)):
        (tmp_path / name).write_bytes(content)
    first, same, other = (digest(tmp_path / name) for name in "abc")
    assert first == same != other
    assert len(first) == 32
    (tmp_path / "empty").touch()
    assert digest(tmp_path / "empty") == "cae66941d9efbd404e4d88758ea67670"
