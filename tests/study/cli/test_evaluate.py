"""`freelunch evaluate`: the worked case, a second folder, JSON, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.study.tiny_cli import called
from trainers.data.datasets.cholec80 import PHASES

TRUTH = "11112222223333444444"
PREDICTION = "11222222332333444456"


def text(labels: str) -> str:
    return "Frame\tPhase\n" + "".join(f"{row}\t{PHASES[int(label) - 1]}\n" for row, label in enumerate(labels))


def write(folder: Path, name: str, content: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content, encoding="utf-8")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Eight videos: ours have the worked case's mistakes only from some row on, and theirs all of them."""
    for number in range(8):
        begun = number + 1
        write(tmp_path / "gt", f"video{41 + number}-phase.txt", text(TRUTH))
        ours = PREDICTION if number == 0 else TRUTH[: 2 * begun] + PREDICTION[2 * begun :]
        write(tmp_path / "ours", f"video{41 + number}.txt", text(ours))
        write(tmp_path / "theirs", f"video{41 + number}_pred.txt", text(PREDICTION[:-3] + "111"))
    return tmp_path


def evaluate(root: Path, *more: str, fps: str = "0.2", phases: str = "cholec80") -> Any:
    arguments = ["--predictions", str(root / "ours"), "--annotations", str(root / "gt"), "--phases", phases]
    return called(root / "home", "evaluate", *arguments, "--fps", fps, *more)


def record(root: Path, *more: str, **options: str) -> dict[str, Any]:
    result = evaluate(root, "--json", *more, **options)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_worked_case_has_the_published_values_under_every_protocol(folders: Path) -> None:
    videos = {name: each["per_video"]["video41"] for name, each in record(folders)["protocols"].items()}
    assert videos["strict"]["accuracy"] == 65.0
    rounded = {metric: round(value, 4) for metric, value in videos["relaxed_official"].items()}
    assert rounded == {"accuracy": 70.0, "precision": 87.8571, "recall": 75.0, "jaccard": 59.7222}
    assert set(videos["relaxed_fixed"].values()) == {100.0}


def test_tables_show_the_worked_case_and_name_what_each_spread_is_over(folders: Path) -> None:
    result = evaluate(folders)
    assert result.exit_code == 0
    assert f"{folders / 'ours'}: 8 videos of 13 min in all, 160 labelled rows" in result.stdout
    assert "video41     70.00      87.86   75.00    59.72" in result.stdout
    assert "over videos" in result.stdout
    assert "over phases" in result.stdout
    assert "No annotation has GallbladderPackaging, CleaningCoagulation, GallbladderRetraction" in result.stdout
    assert not (folders / "home").exists(), "it needs no home"


def test_one_protocol_can_be_asked_for(folders: Path) -> None:
    assert list(record(folders, "--protocol", "relaxed_fixed")["protocols"]) == ["relaxed_fixed"]


def test_the_spread_of_one_video_is_matlabs_in_the_official_protocol_alone(tmp_path: Path) -> None:
    write(tmp_path / "gt", "video41.txt", text(TRUTH))
    write(tmp_path / "ours", "video41.txt", text(PREDICTION))
    stds = {name: each["summary"]["accuracy"]["std"] for name, each in record(tmp_path)["protocols"].items()}
    assert stds == {"strict": None, "relaxed_fixed": None, "relaxed_official": 0.0}


def test_the_window_may_be_that_of_another_rate_as_in_print(folders: Path) -> None:
    wide = record(folders, "--relaxed-fps", "25", fps="0.2")
    assert any("The relaxed window is 1250 s" in note for note in wide["notes"])
    fixed, official = (wide["protocols"][f"relaxed_{name}"]["per_video"]["video41"] for name in ("fixed", "official"))
    assert fixed == official, "no segment is longer than the window"


def test_against_another_folder_every_metric_has_a_paired_test_and_an_interval(folders: Path) -> None:
    found = record(folders, "--against", str(folders / "theirs"))
    strict = found["comparisons"]["strict"]
    assert list(strict) == ["accuracy", "precision", "recall", "jaccard"]
    accuracy = strict["accuracy"]
    ours, theirs = (
        [each["accuracy"] for each in side["protocols"]["strict"]["per_video"].values()]
        for side in (found, found["against"])
    )
    assert accuracy["difference"] == pytest.approx(sum(a - b for a, b in zip(ours, theirs, strict=True)) / 8)
    assert accuracy["num_videos"] == 8
    assert accuracy["p_value"] == pytest.approx(2 / 2**8)
    assert accuracy["p_value_after_holm"] == pytest.approx(4 * 2 / 2**8), "all four are equally certain"
    assert accuracy["interval"][0] < accuracy["difference"] < accuracy["interval"][1]
    assert accuracy["verdict"] == "better"
    shown = evaluate(folders, "--against", str(folders / "theirs"), "--protocol", "strict").stdout
    assert "95 % interval" in shown
    assert "better" in shown


def test_the_same_folder_does_not_differ_from_itself_and_says_so(folders: Path) -> None:
    found = record(folders, "--against", str(folders / "ours"), "--protocol", "strict")
    assert {each["difference"] for each in found["comparisons"]["strict"].values()} == {0.0}
    assert any("there is nothing to test" in note for note in found["notes"])


def test_files_without_a_partner_are_named(folders: Path) -> None:
    write(folders / "ours", "video60.txt", text(TRUTH))
    write(folders / "gt", "video01.txt", text(TRUTH))
    notes = record(folders)["notes"]
    assert f"Without an annotation in {folders / 'gt'}, and left out: video60." in notes
    assert f"Annotated, but without predictions in {folders / 'ours'}: video01." in notes


def test_holes_do_not_count_and_few_phases_are_noted(tmp_path: Path) -> None:
    write(tmp_path, "names.txt", "a\nb\nc\n")
    write(tmp_path / "gt", "x.csv", "phase\na\na\nunlabelled\nb\n")
    write(tmp_path / "ours", "x.csv", "prediction\n0\n0\n2\n1\n")
    found = record(tmp_path, phases=str(tmp_path / "names.txt"), fps="1")
    assert found["num_frames"] == 3
    assert found["protocols"]["strict"]["summary"]["accuracy"]["mean"] == 100
    assert any("With 3 phases all are among the last four" in note for note in found["notes"])


def test_a_description_says_how_its_annotations_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        "ours.toml",
        'phases = ["a", "b"]\nvideos = "{name}.mkv"\n[annotations]\nfiles = "gt/times_{name}.csv"\n'
        'format = "intervals"\nunit = "hh:mm:ss"\n',
    )
    write(tmp_path / "gt", "times_x.csv", "00:00:00,00:00:02,a\n00:00:02,00:00:04,b\n")
    write(tmp_path / "ours", "x.csv", "prediction\na\na\na\nb\n")
    found = record(tmp_path, phases=str(tmp_path / "ours.toml"), fps="1")
    assert found["protocols"]["strict"]["summary"]["accuracy"]["mean"] == 75


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phases": "cholec81"}, "--phases is 'cholec81'"),
        ({"ours": "Frame\tPhase\n0\t1\n"}, "video41.txt:2 has the number 1 for a phase"),
        ({"ours": text(TRUTH[:10])}, "20 annotated rows"),
        ({"ours": text(TRUTH).replace("ClippingCutting", "Cutting")}, "names the unknown phase 'Cutting'"),
        ({"name": "other.txt"}, "no file of"),
        ({"against": "/nowhere"}, "/nowhere is not a folder"),
        ({"fps": "0"}, "--fps"),
    ],
)
def test_mistakes_end_with_one_sentence_and_code_2(tmp_path: Path, change: dict[str, str], message: str) -> None:
    write(tmp_path / "gt", "video41.txt", text(TRUTH))
    write(tmp_path / "ours", change.get("name", "video41.txt"), change.get("ours", text(PREDICTION)))
    more = ("--against", change["against"]) if "against" in change else ()
    result = evaluate(tmp_path, *more, fps=change.get("fps", "1"), phases=change.get("phases", "cholec80"))
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")
    assert result.stdout == ""
