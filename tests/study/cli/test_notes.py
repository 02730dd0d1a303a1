import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from study.cli import main


def test_what_the_library_logs_is_one_note_on_the_standard_error_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for _ in range(2):  # two commands of one process do not print it twice
        assert CliRunner().invoke(main, ["--home", str(tmp_path), "list"]).exit_code == 0
    logging.getLogger("study.tracking.sender").warning("MLflow at %s is away.", "http://somewhere")
    assert capsys.readouterr() == ("", "note: MLflow at http://somewhere is away.\n")
