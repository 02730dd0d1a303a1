"""A whole study at the command line: its report and records, a second run, other settings, damage and failures."""

import json
from pathlib import Path

import pytest

from study.core.store import Store
from tests.study.tiny_cli import called
from tests.study.tiny_home import ASKED, LOCAL, copy_of, refused

pytestmark = [pytest.mark.usefixtures("tiny_scale", "no_pictures"), pytest.mark.slow]


@pytest.fixture(scope="module")
def finished(table3_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which all of table3 is finished, which other lanes do not read."""
    return copy_of(table3_home, tmp_path_factory.mktemp("table3"))


def test_all_of_table3_runs_and_reports(finished: Path):
    (folder,) = (finished / "studies" / "table3").glob("*/")
    for name in ("report.html", "report.md", "results.json", "table.csv"):
        assert (folder / name).stat().st_size > 0
    results = json.loads((folder / "results.json").read_text())
    assert len(results["rows"]) == 8
    assert "backbone frozen, head trained" in called(finished, "report", "table3").output


def test_records_parse_as_json(finished: Path):
    (dataset,) = json.loads(called(finished, "datasets", "--json").output)
    assert (dataset["name"], dataset["videos"]) == ("tiny", 4)
    plan = json.loads(called(finished, "plan", "table3", *ASKED, "--json").output)
    assert len(plan["trials"]) == 8
    assert plan["missing"] == []
    status = json.loads(called(finished, "status", "--json").output)["table3"]
    assert {trial["state"] for trial in status["trials"]} == {"done"}
    assert not status["resumable"]


def test_a_plan_says_what_is_shared_cached_and_next(finished: Path):
    output = called(finished, "plan", "table3", *ASKED, "--seeds", "2").output
    assert "16 trials need" in output
    assert "majority, seed 0 and majority, seed 1 are one trial" in output
    assert output.strip().splitlines()[-1] == (
        f"next: freelunch --home {finished} run table3 --scale tiny --dataset tiny --seeds 2"
    )


def test_a_second_run_computes_nothing(finished: Path):
    before = {path: path.stat().st_mtime_ns for path in finished.glob("artifacts/*/*")}
    (finished / "removed" / "of a killed process").mkdir(parents=True)
    result = called(finished, "run", "table3", *LOCAL)
    assert list((finished / "removed").iterdir()) == []
    assert result.exit_code == 0
    assert "nothing to do" in result.output
    assert " done in " not in result.output
    assert {path: path.stat().st_mtime_ns for path in finished.glob("artifacts/*/*")} == before


def test_files_that_changed_since_a_home_was_computed_are_one_note(finished: Path, tmp_path: Path):
    home = copy_of(finished, tmp_path)
    for path in home.glob("artifacts/*/manifest.json"):
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps({**manifest, "sources": dict.fromkeys(manifest["sources"], "0123")}))
    output = called(home, "plan", "table3", *ASKED).output
    (note,) = [text for text in " ".join(output.split()).split("note ") if "revision" in text]
    assert " more changed since " in note
    assert f"freelunch --home {home} plan table3 --json" in note
    record = json.loads(called(home, "plan", "table3", *ASKED, "--json").output)
    assert len(record["changed_sources"]) > 10
    assert len([warning for warning in record["warnings"] if "revision" in warning]) == 1


def test_logs_are_found_by_row_and_by_key(finished: Path):
    listed = called(finished, "logs", "table3/head").output
    assert "Pretrain DistilledMoCo" in listed
    key = next(line.split()[-3] for line in listed.splitlines() if "DistilledMoCo" in line)
    assert "python" in called(finished, "logs", key).output
    refused(called(finished, "logs", "table3/haed"), 2, "no row 'haed'; did you mean 'head'?")
    for command in (("logs", "table3"), ("export", "table3", "--format", "safetensors")):
        refused(called(finished, *command), 2, "table3 is a study, not one of its trials: name one, as 'table3/ROW'")
    refused(called(finished, "logs", "nokey"), 2, "no stage has a key that begins with 'nokey'")


def test_damage_is_found_named_and_mended(finished: Path, tmp_path: Path):
    home = copy_of(finished, tmp_path)
    store = Store(home)
    videos = [m.key for m in store.manifests() if m.title == "Video video01"]
    summary = next(home.glob("artifacts/*/summary.json"))
    frames = home / "artifacts" / videos[0] / "frames.arrow"
    for path in (summary, frames):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    result = called(home, "verify")
    assert result.exit_code == 3
    assert "Traceback" not in result.output
    assert (
        result.stderr.count(f"is damaged (its content changed): remove it with `freelunch --home {home} remove ") == 2
    )
    for key in (videos[0], summary.parent.name):
        refused(called(home, "remove", key[:3]), 2, f"'{key[:3]}' is too short to remove a stage by")
        assert called(home, "remove", key[:12]).output == f"removed {key}\n"
    assert called(home, "run", "table3", *LOCAL).exit_code == 0
    assert called(home, "verify").exit_code == 0


def test_another_setting_is_another_report_and_shares_what_it_can(finished: Path, tmp_path: Path):
    home = copy_of(finished, tmp_path)
    options = ("--dataset", "tiny", "--row", "head", "--set", "distillation_weight=2")
    result = called(home, "run", "table3", *LOCAL, *options)
    assert result.exit_code == 0
    assert result.output.count(" done in ") == 8
    assert len(list((home / "studies" / "table3").glob("*/"))) == 2


def test_a_failing_row_is_exit_code_1_and_the_others_are_reported(finished: Path, tmp_path: Path):
    home = copy_of(finished, tmp_path)
    settings = ("--set", "learning_rate=1e9", "--row", "head", "--row", "public")
    result = called(home, "run", "table3", *LOCAL, *settings)
    assert result.exit_code == 1, result.output
    assert "failed: the loss became" in result.output
    assert " stages that need it are left out" in result.output
    assert result.output.strip().splitlines()[-1].startswith("next: fix what failed, then run again: freelunch")
    status = json.loads(called(home, "status", "--json").output)["table3"]
    assert [trial["state"] for trial in status["trials"]] == ["failed", "done"]


def test_encoders_and_features_take_about_the_disk_that_is_expected_of_them(finished: Path):
    networks = [m for m in Store(finished).manifests() if m.stage in ("Pretrain", "EncoderFeatures", "Untrained")]
    assert len({manifest.stage for manifest in networks}) == 3
    for manifest in networks:
        left = sum(size for size, _ in manifest.files.values())
        assert manifest.expected_bytes / 3 < left < 2 * manifest.expected_bytes, manifest.title
