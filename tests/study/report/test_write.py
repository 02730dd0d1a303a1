from pathlib import Path

import pytest

from study.report.document import Document, Facts, Notice
from study.report.render_html import render_html
from study.report.render_markdown import render_markdown
from study.report.write import write_document


def test_a_report_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "report.html").write_text("as it was")

    def dies(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", dies)
    with pytest.raises(KeyboardInterrupt):
        write_document(Document(title="t", question="q", label="l", blocks=()), tmp_path)
    assert (tmp_path / "report.html").read_text() == "as it was"


def test_several_notes_are_a_list_and_one_is_none():
    blocks = (
        Facts({"notes": "No <teacher>.\nA `stand-in`.", "scale": "demo"}),
        Notice("Too few.\nToo short."),
        Notice("A demo."),
    )
    document = Document(title="t", question="q", label="l", blocks=blocks)
    page = " ".join(render_html(document).partition("</header>")[2].split())
    assert "<dd><ul><li>No &lt;teacher&gt;.</li><li>A <code>stand-in</code>.</li></ul></dd>" in page
    assert "<dd>demo</dd>" in page
    assert "<ul><li>Too few.</li><li>Too short.</li></ul></div>" in page
    text = render_markdown(document)
    assert "- **notes**:\n  - No &lt;teacher>.\n  - A `stand-in`.\n- **scale**: demo\n" in text
    assert "> - **Too few.**\n> - **Too short.**\n" in text
    assert "> **A demo.**\n" in text
