"""Features of an encoder, stored once, from which classifier, temporal model and predictions are made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tests.trainers.tiny import PHASES, SIZE_PX, assert_same_state, untrained, work, write_recording
from trainers.artifacts.history import read_history
from trainers.artifacts.predictions import read_predictions
from trainers.data.ingest.video import Video
from trainers.recognition import sequences
from trainers.recognition.authors_code import AuthorsEncoderFeatures
from trainers.recognition.encode import EncoderFeatures
from trainers.recognition.extract import ExtractFeatures
from trainers.recognition.finetune import FineTune, load_classifier, load_linear
from trainers.recognition.multi_stage_tcn import TemporalNetwork
from trainers.recognition.sequences import read_sequence, read_sequences
from trainers.recognition.temporal import PredictPhases, TrainTemporal
from trainers.ssl.encoders import load_backbone
from trainers.stage import InputError

LABELS = {"video01": [0, 1, 2, -1] * 4, "video02": [2, 2, 1, 0] * 4, "video03": [1, 0, -1, 2] * 4}
NETWORK = TemporalNetwork(num_stages=1, num_layers=2, num_maps=8)


def video(name):
    return Video(
        name=name, video_digest=name, annotation_digest=None, phases=PHASES, video_path=Path(), annotation_path=None
    )


VIDEOS = tuple(video(name) for name in LABELS)


@pytest.fixture
def stored(tmp_path):
    """Features of three videos, run, and the folders of everything."""
    encoder = untrained(tmp_path / "encoder")
    folders = [write_recording(tmp_path / name, labels, name=name)[1] for name, labels in LABELS.items()]
    stage = EncoderFeatures(encoder=encoder, videos=VIDEOS, size_px=SIZE_PX, sample_every=1)
    return stage, {"encoder": tmp_path / "encoder"}, folders


def run(stage, output, inputs):
    stage.run(work(output, inputs))
    return output


def numbered(folders, field="videos"):
    return {f"{field}.{index}": folder for index, folder in enumerate(folders)}


def tuned(stage, **fields):
    return FineTune(
        **{
            "encoder": stage.encoder,
            "videos": VIDEOS[:2],
            "validation": VIDEOS[2:],
            "num_phases": len(PHASES),
            "size_px": SIZE_PX,
            "sample_every": 1,
            "epochs": 3,
            "batch_size": 8,
        }
        | fields
    )


def test_rows_are_those_of_the_frames_with_the_features_of_the_encoder(stored, tmp_path):
    stage, encoder, folders = stored
    output = run(stage, tmp_path / "out", encoder | numbered(folders))
    read = read_sequences(stage, output)
    assert [each.video for each in read] == list(LABELS)
    assert [each.labels.tolist() for each in read] == list(LABELS.values())
    assert all(each.framewise is None and each.features.dtype == np.float32 for each in read)
    assert load_backbone(stage.encoder, encoder["encoder"])(torch.zeros(1, 3, SIZE_PX, SIZE_PX)).shape == (
        1,
        read[0].features.shape[1],
    )


@pytest.mark.parametrize("sample_every", [1, 2])
def test_a_classifier_on_stored_features_is_the_one_that_computes_its_own(stored, tmp_path, sample_every):
    stage, encoder, folders = stored
    features = run(stage, tmp_path / "features", encoder | numbered(folders))
    own = tuned(stage, sample_every=sample_every)
    reading = replace(own, features=stage, validation_features=stage)
    computed = run(own, tmp_path / "own", encoder | numbered(folders[:2]) | numbered(folders[2:], "validation"))
    read = run(reading, tmp_path / "read", encoder | {"features": features, "validation_features": features})
    assert read_history(read).keys() == read_history(computed).keys() == {"loss", "validation_accuracy"}
    ours, theirs = load_linear(reading, read), load_linear(own, computed)
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)
    assert read_history(read)["validation_accuracy"] == read_history(computed)["validation_accuracy"]
    backbone, classifier = load_classifier(reading, read, encoder["encoder"])
    assert_same_state(backbone.state_dict(), load_classifier(own, computed)[0].state_dict())
    assert torch.equal(classifier.weight, ours.weight)
    assert (read / "classifier.pt").stat().st_size < (computed / "classifier.pt").stat().st_size / 5


def test_without_validation_videos_a_classifier_on_stored_features_keeps_its_last_epoch(stored, tmp_path):
    stage, encoder, folders = stored
    features = run(stage, tmp_path / "features", encoder | numbered(folders))
    reading = tuned(stage, validation=(), features=stage)
    output = run(reading, tmp_path / "out", encoder | {"features": features})
    assert read_history(output).keys() == {"loss"}


def test_stored_features_without_a_labelled_row_are_refused_by_the_classifier(stored, tmp_path):
    stage, encoder, folders = stored
    features = run(stage, tmp_path / "features", encoder | numbered(folders))
    nothing = tuned(stage, videos=(), validation=(), features=stage)
    with pytest.raises(InputError, match="fine-tuning has no labelled frame"):
        run(nothing, tmp_path / "out", encoder | {"features": features})


def test_features_kept_in_half_precision_are_read_back_in_single_precision_rounded(stored, tmp_path):
    stage, encoder, folders = stored
    whole = run(stage, tmp_path / "whole", encoder | numbered(folders))
    half = run(replace(stage, kept="fp16"), tmp_path / "half", encoder | numbered(folders))
    ours, theirs = (read_sequence(folder, "video01") for folder in (half, whole))
    assert ours.features.dtype == np.float16
    assert ours.tensor.dtype == torch.float32
    assert torch.equal(ours.tensor, theirs.tensor.half().float())
    assert not torch.equal(ours.tensor, theirs.tensor)
    assert str(pq.read_schema(half / "video01.parquet").field("feature").type.value_type) == "halffloat"


def test_a_forward_pass_in_bf16_gives_nearly_the_same_features(stored, tmp_path):
    stage, encoder, folders = stored
    single = run(stage, tmp_path / "single", encoder | numbered(folders))
    bf16 = run(replace(stage, precision="bf16"), tmp_path / "bf16", encoder | numbered(folders))
    ours, theirs = (read_sequence(folder, "video01").tensor for folder in (bf16, single))
    assert not torch.equal(ours, theirs)
    assert torch.allclose(ours, theirs, rtol=0.1, atol=0.02)


def test_videos_that_were_written_before_an_interrupt_are_not_computed_again(stored, tmp_path, monkeypatch):
    stage, encoder, folders = stored
    given, computed = encoder | numbered(folders), []
    whole = run(stage, tmp_path / "whole", given)
    features_of = sequences.features_of

    def interrupted(*arguments):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(arguments)
        return features_of(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sequences, "features_of", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(stage, tmp_path / "out", given)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["video01.parquet", "video02.parquet"]
    before = [path.stat().st_mtime_ns for path in sorted((tmp_path / "out").iterdir())]
    run(stage, tmp_path / "out", given)
    assert [path.stat().st_mtime_ns for path in sorted((tmp_path / "out").iterdir())][:2] == before
    for name in LABELS:
        ours, theirs = (read_sequence(folder, name) for folder in (tmp_path / "out", whole))
        assert np.array_equal(ours.features, theirs.features)


def test_a_video_without_a_label_is_refused_where_it_needs_one(stored, tmp_path):
    stage, encoder, _ = stored
    _, folder = write_recording(tmp_path / "unlabelled", [-1] * 4)
    alone = replace(stage, videos=VIDEOS[:1])
    with pytest.raises(InputError, match="video01 has no labelled frame"):
        run(alone, tmp_path / "out", encoder | {"videos.0": folder})
    run(replace(alone, needs_labels=False), tmp_path / "out", encoder | {"videos.0": folder})


@pytest.mark.parametrize("kept", ["fp32", "fp16"])
def test_predictions_have_the_frame_wise_phases_that_a_fine_tuned_extraction_stores(stored, tmp_path, kept):
    stage, encoder, folders = stored
    stage = replace(stage, kept=kept)
    features = run(stage, tmp_path / "features", encoder | numbered(folders))
    own = tuned(stage)
    computed = run(own, tmp_path / "own", encoder | numbered(folders[:2]) | numbered(folders[2:], "validation"))
    extraction = ExtractFeatures(model=own, videos=VIDEOS, sample_every=1)
    extracted = run(extraction, tmp_path / "extracted", {"model": computed} | numbered(folders))
    temporal = TrainTemporal(training=stage, network=NETWORK, num_phases=3, epochs=2, classifier=own)
    trained = run(temporal, tmp_path / "temporal", {"training": features})
    predict = PredictPhases(model=temporal, features=stage, classifier=own)
    output = run(predict, tmp_path / "out", {"model": trained, "features": features, "classifier": computed})
    for predicted in read_predictions(output):
        expected = read_sequence(extracted, predicted.video)
        assert np.array_equal(predicted.framewise, expected.framewise)
        assert np.array_equal(predicted.truth, expected.labels)


def test_a_temporal_model_learns_from_the_videos_that_it_is_told(stored, tmp_path):
    stage, encoder, folders = stored
    features = run(stage, tmp_path / "features", encoder | numbered(folders))
    fewer = replace(stage, videos=VIDEOS[:2])
    apart = run(fewer, tmp_path / "fewer", encoder | numbered(folders[:2]))
    given = {"network": NETWORK, "num_phases": 3, "epochs": 2}
    every = TrainTemporal(training=fewer, **given)
    some = TrainTemporal(training=stage, labelled=VIDEOS[:2], **given)
    assert some.videos == every.videos
    assert some.expected_seconds() == every.expected_seconds()
    trained = [
        run(each, tmp_path / name, {"training": folder})
        for each, name, folder in ((every, "every", apart), (some, "some", features))
    ]
    assert_same_state(*(torch.load(folder / "temporal.pt") for folder in trained))


def test_the_authors_code_sees_frames_that_are_not_normalised(stored, tmp_path):
    stage, encoder, folders = stored
    usual = run(stage, tmp_path / "usual", encoder | numbered(folders))
    fields = {name: getattr(stage, name) for name in ("encoder", "videos", "size_px", "sample_every")}
    theirs = run(AuthorsEncoderFeatures(**fields), tmp_path / "theirs", encoder | numbered(folders))
    same = run(AuthorsEncoderFeatures(**fields, normalised_input=True), tmp_path / "same", encoder | numbered(folders))
    expected, other, equal = (read_sequence(folder, "video01").features for folder in (usual, theirs, same))
    assert np.array_equal(expected, equal)
    assert not np.allclose(expected, other)


def test_full_fine_tuning_in_bf16_learns_nearly_the_same(stored, tmp_path):
    stage, encoder, folders = stored
    given = encoder | numbered(folders[:2]) | numbered(folders[2:], "validation")
    single = tuned(stage, mode="full", epochs=2)
    histories = [
        list(read_history(run(each, tmp_path / each.precision, given))["loss"].values())
        for each in (single, replace(single, precision="bf16"))
    ]
    assert histories[0] != histories[1]
    assert histories[0] == pytest.approx(histories[1], rel=0.05)
