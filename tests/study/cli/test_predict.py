"""`predict` and `embed`: new videos by the models of a finished trial, computed once, outputs replaced whole."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from study.cli import products
from study.cli.new_frames import MARKS, NewFrames
from study.cli.trained_model import find_model
from study.core.graph import key
from study.core.store import Store
from study.home.runs import register_run
from tests.study.tiny_cli import called
from tests.study.tiny_home import copy_of, done, refused, tiny_settings
from trainers.artifacts.predictions import read_predictions
from trainers.data.datasets.new_videos import find_videos, ingest_like
from trainers.data.datasets.scan import Scans
from trainers.data.ingest.video import Ingest
from trainers.recognition.sequences import read_sequence

ROW = "table3/head"
TESTED = ("video03", "video04")


@pytest.fixture(scope="module")
def home(table3_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of its own in which table3 is finished."""
    with tiny_settings():
        yield copy_of(table3_home, tmp_path_factory.mktemp("predict"))


@pytest.fixture(scope="module")
def new_videos(tiny_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test videos of the study as files elsewhere, under other names, beside something that is no video."""
    folder = tmp_path_factory.mktemp("new")
    for name in TESTED:
        shutil.copy(tiny_videos / "videos" / f"{name}.mp4", folder / f"new {name}.MP4")
    (folder / "notes.txt").write_text("of the surgeon")
    return folder


@pytest.fixture(scope="module")
def predicted(home: Path, new_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("out") / "phases"
    done(command(home, "predict", ROW, new_videos, output))
    return output


def command(home: Path, verb: str, trial: str, videos: Path, output: Path, *options: str) -> Result:
    return called(home, verb, trial, str(videos), "--output", str(output), "--threads", "1", *options)


def stored_rows(home: Path, video: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames, phases and frame-wise phases that the study itself has predicted."""
    (trial,) = [t for t in planned(home) if t.row.name == "head"]
    folder = Store(home).find(key(trial.stage.predictions))
    (found,) = [each for each in read_predictions(folder) if each.video == video]
    assert found.framewise is not None
    return found.frames, found.prediction, found.framewise


def planned(home: Path) -> list:
    from study.cli.history import known_asked_trials

    return [asked.trial for asked in known_asked_trials(home)]


@pytest.mark.parametrize("video", TESTED)
def test_a_test_video_of_the_study_is_predicted_as_the_study_predicted_it(home: Path, predicted: Path, video: str):
    table = pq.read_table(predicted / f"new {video}.parquet")
    frames, phases, framewise = stored_rows(home, video)
    names = find_model(home, ROW).like.phases
    assert table["frame"].to_pylist() == frames.tolist()
    assert table["phase"].to_pylist() == [names[phase] for phase in phases]
    assert table["framewise"].to_pylist() == [names[phase] for phase in framewise]


def test_a_table_holds_times_and_probabilities_that_sum_to_one(home: Path, predicted: Path):
    table = pq.read_table(predicted / "new video03.parquet")
    assert table["seconds"].to_pylist() == [frame / 25 for frame in table["frame"].to_pylist()]
    names = find_model(home, ROW).like.phases
    every = np.stack([table[f"probability of {name}"].to_numpy() for name in names])
    assert np.allclose(every.sum(axis=0), 1, atol=1e-5)
    assert np.array_equal(table["probability"].to_numpy(), every.max(axis=0))
    assert [names[index] for index in every.argmax(axis=0)] == table["phase"].to_pylist()


def test_a_phase_file_has_a_row_for_every_frame_of_the_video(predicted: Path, tiny_videos: Path):
    lines = (predicted / "new video03-phase.txt").read_text().splitlines()
    annotated = (tiny_videos / "phase_annotations" / "video03-phase.txt").read_text().splitlines()
    assert len(lines) == len(annotated)
    assert lines[0] == "Frame\tPhase"
    rows = [line.split("\t") for line in lines[1:]]
    assert [int(frame) for frame, _ in rows] == list(range(len(rows)))
    table = pq.read_table(predicted / "new video03.parquet")
    of_frame = dict(zip(table["frame"].to_pylist(), table["phase"].to_pylist(), strict=True))
    assert [phase for _, phase in rows] == [of_frame[5 * (frame // 5)] for frame in range(len(rows))]


def test_there_is_a_picture_of_every_video_and_no_frame_is_kept(home: Path, predicted: Path):
    assert {path.suffix for path in predicted.iterdir()} == {".parquet", ".png", ".txt"}
    assert len(list(predicted.iterdir())) == 6
    assert (predicted / "new video03.png").read_bytes().startswith(b"\x89PNG")
    assert not list((home / "predicting").iterdir())
    titles = [manifest.title for manifest in Store(home).manifests()]
    assert "PredictProbabilities new video03" in titles
    assert "Video new video03" not in titles


def test_a_second_time_nothing_is_computed_and_a_lost_output_is_written_again(
    home: Path, new_videos: Path, predicted: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("study.execution.local.compute", None)
    again = done(command(home, "predict", ROW, new_videos, predicted))
    assert f"0 of 2 videos written to {predicted}, 2 before" in again.output
    whole = (predicted / "new video04.parquet").read_bytes()
    (predicted / "new video04.parquet").write_bytes(b"half")
    (predicted / "new video04.png").unlink()
    assert "1 of 2 videos written" in done(command(home, "predict", ROW, new_videos, predicted)).output
    assert (predicted / "new video04.parquet").read_bytes() == whole
    assert (predicted / "new video04.png").exists()


def test_a_run_that_was_interrupted_goes_on_with_the_videos_that_are_left(
    home: Path, new_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    written = products.Features.write
    count = 0

    def interrupted(*arguments: object) -> str:
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return written(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(products.Features, "write", interrupted)
        first = command(home, "embed", ROW, new_videos, tmp_path / "out")
    assert first.exit_code == 130
    assert "nothing is lost" in first.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new video03.parquet"]
    monkeypatch.setattr("study.execution.local.compute", None)  # the second video's features are stored
    again = done(command(home, "embed", ROW, new_videos, tmp_path / "out"))
    assert "1 of 2 videos written" in again.output
    assert not list((home / "predicting").iterdir())


def test_several_commands_at_once_leave_each_other_the_frames_that_they_need(
    home: Path, new_videos: Path, tiny_videos: Path, tmp_path: Path
):
    shared = Path(shutil.copy(tiny_videos / "videos" / "video01.mp4", tmp_path / "shared.mp4"))
    alone = Path(shutil.copy(tiny_videos / "videos" / "video02.mp4", tmp_path / "alone.mp4"))
    store, model = Store(home), find_model(home, ROW)
    (ingested,) = ingest_like(
        find_videos([shared], image_fps=None), model.like, Scans(tmp_path / "scans"), image_fps=None, report=str
    )
    assert isinstance(ingested, Ingest)
    with register_run(home, MARKS, "predict elsewhere") as other:
        done(called(home, "predict", ROW, str(alone), "--output", str(tmp_path / "begins"), "--threads", "1"))
        NewFrames(store, model, other, keep=False).need([ingested])
        videos = (str(shared), str(alone))
        done(called(home, "predict", ROW, *videos, "--output", str(tmp_path / "out"), "--threads", "1"))
        titles = [manifest.title for manifest in store.manifests()]
        assert "Video shared" in titles
        assert "Video alone" not in titles
    done(called(home, "predict", ROW, *videos, "--output", str(tmp_path / "out"), "--threads", "1"))
    assert "Video shared" not in [manifest.title for manifest in store.manifests()]
    assert not list((home / "predicting").iterdir())


def test_features_are_those_that_the_temporal_model_reads(home: Path, new_videos: Path, tmp_path: Path):
    done(command(home, "embed", ROW, new_videos / "new video03.MP4", tmp_path))
    table = pq.read_table(tmp_path / "new video03.parquet").combine_chunks()
    (trial,) = [t for t in planned(home) if t.row.name == "head"]
    folder = Store(home).find(key(trial.stage.predictions.features))
    expected = read_sequence(folder, "video03")
    found = np.concatenate([chunk.flatten().to_numpy() for chunk in table["feature"].chunks])
    assert np.array_equal(found.reshape(expected.features.shape), expected.features)
    assert table["seconds"].to_pylist() == [frame / 25 for frame in expected.frames.tolist()]


def test_a_trial_is_named_by_the_key_of_its_model_or_of_a_later_stage(home: Path):
    model = find_model(home, ROW).temporal
    (trial,) = [t for t in planned(home) if t.row.name == "head"]
    for stage in (model, trial.stage.predictions, trial.stage):
        assert find_model(home, key(stage)[:12]).temporal == model
    assert find_model(home, f"{ROW}, seed 0").temporal == model


def test_frames_are_kept_where_it_is_asked_for(home: Path, tiny_videos: Path, tmp_path: Path):
    video = Path(shutil.copy(tiny_videos / "videos" / "video01.mp4", tmp_path / "kept.mp4"))
    done(command(home, "predict", "table3/public", video, tmp_path / "out", "--keep-frames"))
    assert "Video kept" in [manifest.title for manifest in Store(home).manifests()]


def test_one_video_that_cannot_be_read_does_not_stop_the_others(home: Path, tiny_videos: Path, tmp_path: Path):
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(tiny_videos / "videos" / "video01.mp4", folder / "whole.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    result = command(home, "predict", "table3/untrained", folder, tmp_path / "out")
    assert result.exit_code == 1
    assert f"error: {folder / 'broken.mp4'}" in result.stderr
    assert "next: fix the videos that failed, then run again: freelunch" in result.output
    assert (tmp_path / "out" / "whole.png").exists()


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        ("table3/majority", "majority, seed 0 has no model that could predict phases of a video"),
        ("table3/heads", "the last run of table3 has no row 'heads'"),
        ("table1/ours", "study 'table1' has not been run"),
        ("0000", "no stage has a key that begins with '0000'"),
    ],
)
def test_what_is_no_trained_trial_is_refused(home: Path, new_videos: Path, tmp_path: Path, trial: str, expected: str):
    refused(command(home, "predict", trial, new_videos, tmp_path / "out"), 2, expected)
    assert not (tmp_path / "out").exists()


def test_a_stage_that_ends_no_trial_is_refused(home: Path, new_videos: Path, tmp_path: Path):
    video = key(find_model(home, ROW).like)
    refused(command(home, "embed", video, new_videos, tmp_path / "out"), 2, "no trial: name the trial as STUDY/ROW")


def test_a_trial_that_is_not_trained_yet_is_refused(home: Path, new_videos: Path, tmp_path: Path):
    copied = copy_of(home, tmp_path)
    Store(copied).remove(key(find_model(copied, ROW).temporal))
    refused(
        command(copied, "predict", ROW, new_videos, tmp_path / "out"), 2, f"{ROW} (head, seed 0) is not trained yet"
    )


def test_an_encoder_that_is_not_stored_any_more_is_not_trained_again(home: Path, new_videos: Path, tmp_path: Path):
    copied = copy_of(home, tmp_path)
    encoder = key(find_model(copied, ROW).encoder)
    Store(copied).remove(encoder)
    said = f"the encoder of {ROW} (stage {encoder[:12]}) is not stored any more: run the study again"
    refused(command(copied, "embed", ROW, new_videos, tmp_path / "out"), 2, said)


@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_places_without_videos_are_refused(home: Path, tmp_path: Path, verb: str):
    refused(command(home, verb, ROW, tmp_path / "none", tmp_path / "out"), 2, "none does not exist")
    refused(command(home, verb, ROW, tmp_path, tmp_path / "out"), 2, "holds neither videos nor images")
