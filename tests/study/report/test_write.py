from pathlib import Path

import pytest

from study.report.document import Document
from study.report.write import write_document


def test_a_report_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "report.html").write_text("as it was")

    def dies(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", dies)
    with pytest.raises(KeyboardInterrupt):
        write_document(Document(title="t", question="q", label="l", blocks=()), tmp_path)
    assert (tmp_path / "report.html").read_text() == "as it was"
