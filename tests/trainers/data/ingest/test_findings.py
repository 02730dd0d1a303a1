from pathlib import Path

import pytest

from trainers.data.ingest.findings import Finding, FoundError, errors_of, refuse_errors
from trainers.stage import InputError

PATH = Path("/data/video01-phase.txt")


@pytest.mark.parametrize(
    ("sentence", "line", "message", "remedy"),
    [
        (f"{PATH} is empty: copy it again.", None, "is empty", "copy it again"),
        (f"{PATH}:12 reads 'a: b': correct the row.", 12, "reads 'a: b'", "correct the row"),
        (f"{PATH}:3 names 'x': did you mean 'y'?", 3, "names 'x'", "did you mean 'y'?"),
        ("video01 is short: cut it.", None, "is refused, as video01 is short", "cut it"),
    ],
)
def test_a_sentence_becomes_a_finding_and_a_sentence_again(sentence: str, line: int | None, message: str, remedy: str):
    finding = Finding.of(InputError(sentence), PATH)
    assert (finding.path, finding.line, finding.message, finding.remedy) == (str(PATH), line, message, remedy)
    refusal = f"{PATH} is refused, as {sentence}"
    assert finding.sentence == (sentence if sentence.startswith(str(PATH)) else refusal)


def test_a_sentence_on_another_file_is_a_finding_on_that_file():
    for place, line in (("/data/video 1/2.png", None), ("/data/other: a.csv:7", 7)):
        finding = Finding.of(InputError(f"{place} is no file: put it back."), PATH)
        assert (finding.path, finding.line) == (place.removesuffix(":7"), line)
        assert finding.sentence == f"{place} is no file: put it back."


def test_a_field_is_named_in_the_sentence():
    finding = Finding(path="ours.toml", line=4, field="fps", message="is 'fast'", remedy="give a number")
    assert finding.sentence == "ours.toml:4, field 'fps', is 'fast': give a number."


def test_errors_are_raised_together_and_warnings_are_not():
    warning = Finding(path="a.mp4", message="is dark", severity="warning")
    refuse_errors([warning])
    errors = [Finding(path=f"{name}.mp4", message="is empty", remedy="copy it again") for name in "bcd"]
    with pytest.raises(
        FoundError, match=r"^b\.mp4 is empty: copy it again\. \(2 more errors were found\.\)$"
    ) as raised:
        refuse_errors([warning, *errors])
    assert raised.value.findings == (warning, *errors)
    assert errors_of(raised.value.findings) == tuple(errors)
