from dataclasses import replace

import torch

from tests.trainers.tiny import BACKBONE, SIZE_PX, assert_same_state, untrained, work
from trainers.pretrained.release import Release
from trainers.ssl.encoders import read_weights, write_weights
from trainers.ssl.pairs import SharedBackbonePair, frozen_pair


def test_a_release_is_the_query_encoder_in_both_roles(tmp_path):
    stage = untrained(tmp_path / "trained", seed=3)
    pair = frozen_pair(stage, tmp_path / "trained")
    with torch.no_grad():
        for parameter in pair.key.parameters():
            parameter.add_(1.0)
    write_weights(tmp_path / "trained", pair)

    (tmp_path / "released").mkdir()
    release = Release(encoder=stage)
    release.run(work(tmp_path / "released", {"encoder": tmp_path / "trained"}))

    weights = read_weights(tmp_path / "released")
    trained = read_weights(tmp_path / "trained")["query"]
    assert_same_state(weights["query"], trained)
    assert_same_state(weights["key"], trained)
    released = frozen_pair(release, tmp_path / "released")
    assert isinstance(released, SharedBackbonePair)
    assert release.backbone == replace(BACKBONE)
    images = torch.rand(4, 3, SIZE_PX, SIZE_PX)
    queries, keys = released(images, images, torch.arange(4))
    torch.testing.assert_close(queries, keys)
