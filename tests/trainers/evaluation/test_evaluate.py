"""Evaluate: what it writes, under which protocol, and what it refuses."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from study.core.graph import key
from trainers.artifacts.predictions import FILE_NAME, SCHEMA, VideoPredictions, read_predictions, write_predictions
from trainers.evaluation.evaluate import Evaluate
from trainers.stage import InputError, Stage, Work

PHASES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
TRUTH = np.repeat([0, 1, 2, 3], [4, 6, 4, 6]).astype(np.int8)
PREDICTION = np.array([1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 2, 3, 3, 3, 4, 4, 4, 4, 5, 6], np.int8) - np.int8(1)


@dataclass(frozen=True, kw_only=True)
class Predictor(Stage):
    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        return 0.0


def video(name: str = "video41", **columns: Any) -> VideoPredictions:
    rows: dict[str, Any] = {
        "frames": np.arange(20, dtype=np.int32) * 125,
        "truth": TRUTH,
        "prediction": PREDICTION,
    } | columns
    return VideoPredictions(video=name, **rows)


def stage(**fields: Any) -> Evaluate:
    defaults: dict[str, Any] = {"predictions": Predictor(), "fps": 0.2, "phases": PHASES}
    return Evaluate(**defaults | fields)


def evaluate(folder: Path, *videos: VideoPredictions, **fields: Any) -> dict[str, Any]:
    source, output = folder / "predictions", folder / "evaluation"
    source.mkdir(exist_ok=True)
    output.mkdir(exist_ok=True)
    if videos:
        write_predictions(source, videos)
    stage(**fields).run(Work(output=output, inputs={"predictions": source}))

    def refuse(literal: str) -> float:
        raise AssertionError(f"{literal} is not JSON")

    summary: dict[str, Any] = json.loads((output / "summary.json").read_text(), parse_constant=refuse)
    return summary


def rows(folder: Path, name: str, **wanted: str) -> list[dict[str, Any]]:
    table = pq.read_table(folder / "evaluation" / name).to_pylist()
    return [row for row in table if all(row[column] == value for column, value in wanted.items())]


def test_every_protocol_is_reported_side_by_side(tmp_path: Path) -> None:
    summary = evaluate(tmp_path, video(), video("video42"))
    accuracies = {name: summary[name]["accuracy"] for name in ("strict", "relaxed_fixed", "relaxed_official")}
    assert accuracies == {
        "strict": {"mean": 65.0, "std": 0.0, "over": "videos"},
        "relaxed_fixed": {"mean": 100.0, "std": 0.0, "over": "videos"},
        "relaxed_official": {"mean": 70.0, "std": 0.0, "over": "videos"},
    }
    assert summary["relaxed_official"]["precision"]["mean"] == pytest.approx(87.8571, abs=1e-4)
    assert summary["strict"]["jaccard"]["over"] == "phases"
    assert (summary["num_videos"], summary["num_frames"], summary["phases"]) == (2, 40, list(PHASES))
    assert "framewise" not in summary


def test_undefined_values_are_null_in_every_file(tmp_path: Path) -> None:
    summary = evaluate(tmp_path, video())
    assert summary["strict"]["accuracy"]["std"] is None
    assert summary["relaxed_fixed"]["jaccard"] == {"mean": None, "std": None, "over": "phases"}
    [absent] = rows(tmp_path, "per_phase.parquet", protocol="strict", phase="seventh", metric="recall")
    assert absent == {
        "protocol": "strict", "video": "video41", "phase": "seventh", "metric": "recall", "value": None
    }  # fmt: skip


def test_per_video_values_are_what_the_summary_averages(tmp_path: Path) -> None:
    summary = evaluate(tmp_path, video(), video("video42", prediction=TRUTH))
    found = {
        row["video"]: row["value"] for row in rows(tmp_path, "per_video.parquet", protocol="strict", metric="edit")
    }
    assert found == {"video41": 50.0, "video42": 100.0}
    assert summary["strict"]["edit"]["mean"] == 75.0
    assert summary["strict"]["edit"]["std"] == pytest.approx(50 / math.sqrt(2))


def test_per_video_values_of_phase_metrics_are_means_over_the_phases_that_define_them(tmp_path: Path) -> None:
    evaluate(tmp_path, video())
    [row] = rows(tmp_path, "per_video.parquet", protocol="relaxed_official", metric="jaccard")
    assert row["value"] == pytest.approx(59.7222, abs=1e-4)


def test_the_frame_classifiers_own_predictions_are_scored_strictly(tmp_path: Path) -> None:
    summary = evaluate(tmp_path, video(framewise=TRUTH))
    assert summary["framewise"]["accuracy"]["mean"] == 100.0
    assert summary["framewise"].keys() == summary["strict"].keys()


def test_unlabelled_frames_do_not_count(tmp_path: Path) -> None:
    truth = np.where(np.arange(20) < 4, -1, TRUTH).astype(np.int8)
    summary = evaluate(tmp_path, video(truth=truth, framewise=PREDICTION))
    assert summary["num_frames"] == 16
    assert summary["strict"]["accuracy"]["mean"] == summary["framewise"]["accuracy"]["mean"] == 100 * 11 / 16


def test_relaxed_fps_widens_the_window_of_the_relaxed_protocols_alone(tmp_path: Path) -> None:
    narrow, wide = evaluate(tmp_path, video(), fps=0.01), evaluate(tmp_path, video(), fps=0.01, relaxed_fps=0.2)
    assert narrow["strict"] == wide["strict"]
    assert narrow["relaxed_official"]["accuracy"]["mean"] == 65.0
    assert wide["relaxed_official"]["accuracy"]["mean"] == 70.0


def test_the_convention_for_absent_phases_reaches_the_strict_metrics(tmp_path: Path) -> None:
    default, scored = evaluate(tmp_path, video()), evaluate(tmp_path, video(), absent="scored")
    assert scored["strict"]["recall"]["mean"] == pytest.approx((default["strict"]["recall"]["mean"] * 4 + 100) / 7)


def test_a_file_without_the_framewise_column_is_read(tmp_path: Path) -> None:
    evaluate(tmp_path, video(framewise=TRUTH))
    path = tmp_path / "predictions" / FILE_NAME
    pq.write_table(pq.read_table(path).drop_columns("framewise"), path)
    assert "framewise" not in evaluate(tmp_path)


def test_equal_evaluations_write_equal_bytes(tmp_path: Path) -> None:
    def written() -> list[bytes]:
        evaluate(tmp_path, video(), video("video42", prediction=TRUTH))
        return [path.read_bytes() for path in sorted((tmp_path / "evaluation").iterdir())]

    assert written() == written()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"truth": np.full(20, -1, np.int8)}, "video41 has no labelled frame"),
        ({"prediction": np.full(20, 7, np.int8)}, "video41 has phase 7, but Evaluate.phases names only 0 to 6"),
        ({"framewise": np.full(20, -1, np.int8)}, "video41 has phase -1"),
        ({"frames": np.zeros(20, np.int32)}, "the frames of video41 do not increase"),
    ],
)
def test_a_mistake_in_the_predictions_names_the_video(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(tmp_path, video(**columns))


def test_framewise_predictions_of_some_rows_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="20 of 40 rows have no framewise prediction"):
        evaluate(tmp_path, video(framewise=TRUTH), video("video42"))


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    write_predictions(tmp_path / "predictions", [])
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate(tmp_path)


def test_predictions_come_back_as_they_were_written(tmp_path: Path) -> None:
    written = [video("b", framewise=TRUTH), video("a", framewise=PREDICTION)]
    write_predictions(tmp_path, written)
    assert pq.read_schema(tmp_path / FILE_NAME).equals(SCHEMA)
    for before, after in zip(written, read_predictions(tmp_path), strict=True):
        assert before.video == after.video
        for column in ("frames", "truth", "prediction", "framewise"):
            expected = getattr(before, column)
            np.testing.assert_array_equal(getattr(after, column), expected, strict=True)


def test_rows_of_videos_may_be_interleaved(tmp_path: Path) -> None:
    columns = {"video": list("abab"), "frame": [0, 0, 1, 1], "truth": [0, 1, 2, 3], "prediction": [0, 1, 2, 3]}
    pq.write_table(pa.table(columns, schema=SCHEMA.remove(4)), tmp_path / FILE_NAME)
    assert [list(video.truth) for video in read_predictions(tmp_path)] == [[0, 2], [1, 3]]


@pytest.mark.parametrize("fields", [{"fps": 0.0}, {"relaxed_fps": -1.0}])
def test_a_frame_rate_that_is_none_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"fps is .*: it must be above 0"):
        stage(**fields)


def test_every_field_of_evaluate_is_part_of_its_key() -> None:
    variants: list[dict[str, Any]] = [
        {},
        {"fps": 1.0},
        {"relaxed_fps": 25.0},
        {"phases": PHASES[:4]},
        {"absent": "scored"},
    ]
    assert len({key(stage(**fields)) for fields in variants}) == len(variants)
