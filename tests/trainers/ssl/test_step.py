"""What a GPU records of a step: the networks that every step calls once, in one order, with a whole batch."""

import pytest

from tests.trainers.ssl.test_method_contract import METHODS, backbone_for
from tests.trainers.tiny import BATCH, take_steps, views_for
from trainers.runtime import distributed
from trainers.ssl.step import recorded_networks

RECORDED = {
    "moco": 2,
    "teacher, head trained": 0,
    "student of a teacher trained in all": 2,
    "the authors' student": 4,
    "disco": 0,  # its query encoder sees both views
    "swav": 0,
}


def new_method(name, folder):
    config, inputs = METHODS[name](folder)
    return config.build(backbone_for(config), inputs, seed=7)


@pytest.mark.parametrize("name", METHODS)
def test_networks_that_are_called_once_are_called_in_their_order_with_a_whole_batch(name, tmp_path):
    method = new_method(name, tmp_path)
    calls = []
    for network in method.train().called_once:
        network.register_forward_pre_hook(lambda module, given: calls.append((module, given[0].shape)))
    take_steps(method, [0])
    shape = views_for(method, 0, batch_size=BATCH).query.shape
    assert calls == [(network, shape) for network in method.called_once]


@pytest.mark.parametrize("name", RECORDED)
def test_backbones_that_learn_or_follow_are_recorded(name, tmp_path):
    assert len(recorded_networks(new_method(name, tmp_path))) == RECORDED[name]


def test_several_workers_record_the_passes_that_do_not_wait_for_each_other(tmp_path, monkeypatch):
    config, inputs = METHODS["moco"](tmp_path)
    split = config.build(backbone_for(config), inputs, seed=7)
    whole = config.build(backbone_for(config).without_splits(), inputs, seed=7)
    assert len(recorded_networks(whole)) == len(recorded_networks(split)) == 2
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    assert len(recorded_networks(split)) == 2
    assert recorded_networks(whole) == []
