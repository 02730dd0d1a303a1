"""The same training on one, two and four workers, as gloo processes on this machine."""

from dataclasses import replace

import pytest
import torch

from tests.trainers.process_group import run_in_processes
from tests.trainers.runtime.worker_program import (
    BATCH,
    FIRST,
    QUARTERS,
    RECORDED,
    SIZES,
    START,
    TRAININGS,
    VIT_START,
    WORKERS,
    average_of,
    inputs,
    take_steps,
    train,
    train_on_frames,
    work_as,
)
from tests.trainers.tiny import (
    BACKBONE,
    EMBEDDING,
    SIZE_PX,
    Recording,
    assert_same_state,
    new_optimiser,
    write_pair,
    write_recording,
)
from trainers.runtime import checkpoint
from trainers.ssl import loop
from trainers.ssl.moco import MoCo
from trainers.ssl.pairs import shuffle_order, started_pair
from trainers.ssl.pretrain import Pretrain
from trainers.stage import InputError, Resources, Work


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where encoders to start from lie, and what every worker found."""
    folder = tmp_path_factory.mktemp("distributed")
    write_recording(folder / "video", [0, 1, 2, 1] * 8)
    for name, stage in (("start", START), ("vit", VIT_START)):
        (folder / name).mkdir()
        stage.run(Work(output=folder / name))
    for name, trains in (("one", "head"), ("two", "all")):
        pair = started_pair(BACKBONE, START, folder / "start", trains=trains)
        for parameter in pair.query.head.parameters():
            parameter.data += 0.05
        write_pair(folder / name, pair)
    for workers in WORKERS:
        run_in_processes(work_as, f"{folder}/meet-{workers}", workers, workers, folder)
    return folder


@pytest.fixture(scope="module")
def found(folder):
    """Results of every worker by (number of workers, rank)."""
    return {
        (workers, rank): torch.load(folder / f"{workers}-{rank}.pt") for workers in WORKERS for rank in range(workers)
    }


def assert_close(one, many):
    for name, value in one["state"].items():
        if isinstance(value, torch.Tensor):
            assert torch.allclose(value, many["state"][name], rtol=0, atol=1e-9), name
        else:
            assert value == many["state"][name], name
    for ours, theirs in zip(one["losses"], many["losses"], strict=True):
        assert {name: float(value) for name, value in ours.items()} == pytest.approx(
            {name: float(value) for name, value in theirs.items()}, rel=0, abs=1e-9
        )


@pytest.mark.parametrize("name", TRAININGS)
def test_workers_compute_what_one_process_computes(name, folder, found):
    one = train(name, folder)
    for workers in WORKERS:
        assert_close(one, found[workers, 0][name])


def test_on_several_workers_too_the_authors_student_and_teacher_draw_a_shuffle_each(folder, found):
    config = replace(TRAININGS["the authors' student"][1], shuffles_apart=False)
    together = config.build(FIRST, inputs("the authors' student", folder), seed=7).double()
    (shared,) = take_steps(together, new_optimiser(together), average_of(together), [0])
    for workers in WORKERS:
        apart = found[workers, 0]["the authors' student"]["losses"][0]
        assert float(apart["contrastive"]) == pytest.approx(float(shared["contrastive"]), rel=0, abs=1e-9)
        assert abs(float(apart["distillation"]) - float(shared["distillation"])) > 1e-6


def test_the_step_loop_trains_on_shares_of_the_same_batches_and_records_the_same_losses(folder, found):
    one = train_on_frames(folder)
    for workers in WORKERS:
        assert_close(one, found[workers, workers - 1]["on frames"])
        kept = checkpoint.load(folder / f"output-{workers}")["method"]
        assert_close({"state": kept, "losses": one["losses"]}, {**one, "losses": one["losses"]})


@pytest.mark.parametrize("name", TRAININGS)
def test_workers_agree_to_the_last_bit(name, found):
    for (workers, _), results in found.items():
        assert_same_state(results[name]["state"], found[workers, 0][name]["state"])


def test_resumed_workers_are_those_that_were_not_interrupted_to_the_last_bit(found):
    for results in found.values():
        assert_same_state(results["resumed"], results["MoCo"]["state"])


@pytest.mark.parametrize("name", RECORDED)
def test_gradients_of_replayed_passes_are_averaged_to_the_same_bits(name, found):
    for results in found.values():
        replayed = results["replayed"][name]
        assert replayed["networks"] == RECORDED[name]
        assert_same_state(replayed["state"], results[name]["state"])


def test_the_running_statistics_of_the_first_split_are_not_their_mean(folder):
    first, mean = (train(name, folder)["state"] for name in list(TRAININGS)[1::-1])
    name = "encoders.query.backbone.bn1.running_mean"
    assert not torch.allclose(first[name], mean[name], atol=1e-6)


def test_rows_are_gathered_in_rank_order_and_shared_out_again(found):
    rows = torch.arange(BATCH, dtype=torch.float64)
    for (workers, rank), results in found.items():
        collectives = results["collectives"]
        assert collectives["workers"] == workers
        assert torch.equal(collectives["gathered"], rows)
        assert torch.equal(collectives["gathered ids"], rows.long())
        assert torch.equal(collectives["share"], rows.chunk(workers)[rank])


def test_shuffling_over_all_workers_and_back_is_the_identity(found):
    rows = torch.arange(BATCH, dtype=torch.float64)
    for results in found.values():
        assert torch.equal(results["collectives"]["shuffled"], rows[shuffle_order(0, 0, rows)])
        assert torch.equal(results["collectives"]["back"], rows)


def test_rows_come_in_any_order_to_the_last_bit(found):
    for results in found.values():
        for ours, expected in zip(*(results["collectives"][name] for name in ("reordered", "expected")), strict=True):
            assert torch.equal(ours, expected)


def test_no_method_gathers_images(found):
    for results in found.values():
        assert EMBEDDING in results["gathered"]
        assert max(results["gathered"]) < SIZE_PX**2


def test_tensors_of_any_type_and_shape_are_averaged_or_taken_from_the_first(found):
    rows = torch.arange(BATCH, dtype=torch.float64)
    for (workers, _), results in found.items():
        shares = torch.stack(rows.chunk(workers))
        expected = [torch.full((2, 3), (workers - 1) / 2), shares.mean(0), torch.ones(4, 2, 1, 1)]
        taken = [torch.zeros(2, 3), shares[0], torch.ones(4, 2, 1, 1)]
        for ours, theirs in zip(results["collectives"]["average"], expected, strict=True):
            assert torch.equal(ours, theirs)
        for ours, theirs in zip(results["collectives"]["first"], taken, strict=True):
            assert torch.equal(ours, theirs)


def test_a_worker_that_died_is_told_apart_from_other_errors(folder, found):
    assert "the workers of this run lost each other" in torch.load(folder / "lost.pt")


@pytest.mark.parametrize("workers", [3, 8])
def test_workers_that_do_not_divide_the_splits_are_refused_before_anything_is_computed(workers, tmp_path):
    optimisation = loop.Optimisation(batch_size=BATCH)
    stage = Pretrain(frames=(Recording(),), method=MoCo(**SIZES), backbone=QUARTERS, optimisation=optimisation)
    match = f"workers is {workers}: it must divide batch_norm_splits = 4; take one of 1, 2, 4"
    with pytest.raises(InputError, match=match):
        stage.run(Work(output=tmp_path, resources=Resources(workers=workers)))
    assert list(tmp_path.iterdir()) == []
