import json

from trainers.artifacts import audit, evaluation, history
from trainers.artifacts.evaluation import read_scores, write_summary, write_values

AUDIT = audit.Audit(
    video="video01",
    source_fps=25.0,
    width_px=854,
    height_px=480,
    num_frames_video=100,
    num_frames_annotation=None,
    num_frames_cut=0,
    num_rows=20,
    margins={"left": 1, "top": 2, "right": 3, "bottom": 4},
    phases={},
    warnings=("too dark.",),
)


def test_curves_come_back_by_metric_and_epoch(tmp_path):
    assert history.read_history(tmp_path) == {}
    history.write_history(tmp_path, [{"epoch": 1.0, "loss": 2.0}, {"epoch": 2.0, "loss": 1.5, "knn_accuracy": 60.0}])
    assert history.read_history(tmp_path) == {"loss": {1: 2.0, 2: 1.5}, "knn_accuracy": {2: 60.0}}


def test_an_audit_comes_back_as_it_was_written(tmp_path):
    audit.write_audit(tmp_path, AUDIT)
    assert audit.read_audit(tmp_path) == AUDIT
    assert json.loads((tmp_path / "audit.json").read_text())["margins"] == {
        "left": 1,
        "top": 2,
        "right": 3,
        "bottom": 4,
    }
    assert AUDIT.seconds == 4.0


def test_scores_are_read_by_protocol_and_a_phase_is_averaged_over_the_videos_that_define_it(tmp_path):
    summaries = {"strict": {"accuracy": {"mean": 90.0, "std": None, "over": "videos"}}}
    write_summary(tmp_path, summaries, num_videos=2, num_frames=30, phases=("first", "second"))
    value = {"protocol": "strict", "metric": "recall"}
    write_values(
        tmp_path,
        [{**value, "video": "a", "value": 80.0}, {**value, "video": "b", "value": None}],
        [
            {**value, "video": "a", "phase": "first", "value": 80.0},
            {**value, "video": "b", "phase": "first", "value": 60.0},
            {**value, "video": "a", "phase": "second", "value": None},
            {**value, "video": "b", "phase": "second", "value": None},
        ],
    )
    scores = read_scores(tmp_path, {"fps": 5.0, "absent": "undefined_if_absent"})
    assert scores == evaluation.Scores(
        summary=summaries,
        per_video={"strict": {"recall": {"a": 80.0, "b": None}}},
        per_phase={"recall": {"first": 70.0, "second": None}},
        phases=("first", "second"),
        num_videos=2,
        num_frames=30,
        fps=5.0,
        absent="undefined_if_absent",
    )
