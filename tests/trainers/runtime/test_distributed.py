"""The same training on one, two and four workers, as gloo processes on this machine."""

import os
from dataclasses import replace

import pytest
import torch

from tests.trainers.process_group import run_in_processes
from tests.trainers.tiny import (
    BACKBONE,
    CONVNEXT,
    EMBEDDING,
    ONE_SPLIT,
    SIZE_PX,
    TIMM_RESNET,
    VIT,
    Recording,
    assert_same_state,
    new_optimiser,
    views,
    views_for,
    write_pair,
    write_recording,
)
from trainers.data.augmentation import MoCoAugmentation
from trainers.data.frames import Frames
from trainers.data.loading import ViewLoader
from trainers.networks.backbones import sync_running_statistics_
from trainers.runtime import checkpoint, distributed
from trainers.ssl import loop
from trainers.ssl.authors_student import AuthorsStudent
from trainers.ssl.authors_teacher import AuthorsTeacher
from trainers.ssl.compress import CompRess
from trainers.ssl.disco import DisCo
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.moco import MoCo
from trainers.ssl.pairs import shuffle_order, started_pair
from trainers.ssl.pretrain import Pretrain, Untrained
from trainers.ssl.regioncl import RegionCL
from trainers.ssl.seed import SEED
from trainers.ssl.simsiam import SimSiam
from trainers.ssl.step import learning_parameters, recorded_networks, take_step
from trainers.ssl.swav import SwAV
from trainers.ssl.transfer import CombinedMoCo
from trainers.stage import InputError, Resources, Work

BATCH = 16
BUCKET_BYTES = 512
"""A parameter or two."""
HALF = 2
WORKERS = (2, 4)
QUARTERS = replace(BACKBONE, batch_norm_splits=4)
FIRST = replace(QUARTERS, running_statistics="first")
SIZES = {"temperature": 0.2, "queue_size": 3 * BATCH, "momentum": 0.9, "embedding_size": EMBEDDING}
START = Untrained(backbone=BACKBONE, embedding_size=EMBEDDING, seed=3)
VIT_START = Untrained(backbone=VIT, embedding_size=EMBEDDING, seed=3)
TRAININGS = {
    "MoCo": (QUARTERS, MoCo(**SIZES)),
    "MoCo whose running statistics are the first split's": (FIRST, MoCo(**SIZES)),
    "a teacher that trains its head": (QUARTERS, MoCo(**SIZES, start=START, trains="head")),
    "a teacher that trains its backbone": (QUARTERS, MoCo(**SIZES, start=START, trains="backbone")),
    "a student of a teacher with one backbone": (QUARTERS, DistilledMoCo(**SIZES, teacher=START)),
    "a student of a teacher with two backbones": (FIRST, DistilledMoCo(**SIZES, teacher=START)),
    "a student whose features are added to its teacher's": (
        QUARTERS,
        CombinedMoCo(**SIZES, teacher=START, combination="sum"),
    ),
    "a student whose features stand beside its teacher's": (
        FIRST,
        CombinedMoCo(**SIZES, teacher=START, combination="concatenation"),
    ),
    "SEED": (QUARTERS, SEED(teacher=START, queue_size=3 * BATCH, embedding_size=EMBEDDING)),
    "CompRess": (QUARTERS, CompRess(**SIZES, teacher=START)),
    "DisCo": (QUARTERS, DisCo(**SIZES, teacher=START)),
    "a student of a ViT": (QUARTERS, DistilledMoCo(**SIZES, teacher=VIT_START)),
    "a timm ResNet": (replace(TIMM_RESNET, batch_norm_splits=4), MoCo(**SIZES)),
    "a ConvNeXt": (replace(CONVNEXT, batch_norm_splits=4), MoCo(**SIZES)),
    "RegionCL": (QUARTERS, RegionCL(**SIZES, smallest_region=1, largest_region=2)),
    "RegionCL in one split": (ONE_SPLIT, RegionCL(**SIZES, smallest_region=1, largest_region=2)),
    "MoCo in one split": (ONE_SPLIT, MoCo(**SIZES)),
    "SimSiam": (ONE_SPLIT, SimSiam(embedding_size=EMBEDDING, predictor_size=3)),
    "the authors' teacher": (FIRST, AuthorsTeacher(**SIZES, start=START)),
    "the authors' student": (FIRST, AuthorsStudent(**SIZES, teacher=START)),
    "SwAV": (ONE_SPLIT, SwAV(num_prototypes=12, queue_size=2 * BATCH, queue_from_epoch=0, embedding_size=EMBEDDING)),
}

RECORDED = {"MoCo": 2, "MoCo in one split": 0}
"""Trainings, and how many of their networks several workers record on GPUs."""


def inputs(name, folder):
    teacher = folder / ("vit" if "ViT" in name else "one" if "one backbone" in name else "two")
    return {"start": folder / "start", "teacher": teacher}


def new_method(name, folder):
    backbone, config = TRAININGS[name]
    return config.build(backbone, inputs(name, folder), seed=7).double()


def average_of(method):
    """The mean of gradients, in many buckets; None in a process alone."""
    if distributed.world_size() == 1:
        return None
    return distributed.GradientAverage(learning_parameters(method), bucket_bytes=BUCKET_BYTES)


def take_steps(method, optimiser, average, steps):
    """An epoch of this worker's share of the steps' batches; the loss terms of each over all workers."""
    method.train()
    losses = []
    for step in steps:
        whole = views_for(method, step, batch_size=BATCH, dtype=torch.float64)
        query, key, ids = (distributed.local_rows(each) for each in (whole.query, whole.key, whole.frame_ids))
        small = tuple(distributed.local_rows(each) for each in whole.small)
        own = replace(whole, query=query, key=key, frame_ids=ids, small=small)
        terms = take_step(method, optimiser, own, average=average)
        losses.append({name: value.detach().clone() for name, value in {**terms, **method.metrics()}.items()})
        distributed.average_(losses[-1].values())
    sync_running_statistics_(method)
    return losses


def train(name, folder):
    """A training of two epochs: state and losses."""
    method = new_method(name, folder)
    optimiser, average = new_optimiser(method), average_of(method)
    losses = take_steps(method, optimiser, average, range(HALF))
    losses += take_steps(method, optimiser, average, range(HALF, 2 * HALF))
    return {"state": method.state_dict(), "losses": losses}


def train_resumed(name, folder):
    """The same, saved and loaded after the first."""
    first, second = new_method(name, folder), new_method(name, folder)
    optimiser, resumed = new_optimiser(first), new_optimiser(second)
    take_steps(first, optimiser, average_of(first), range(HALF))
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(optimiser.state_dict())
    take_steps(second, resumed, average_of(second), range(HALF, 2 * HALF))
    return second.state_dict()


class Replayed(torch.autograd.Function):
    """A pass as CUDA graphs replay it: one node of autograd, whose gradients lie in the same memory in every step."""

    @staticmethod
    def forward(ctx, compute, memory, images, *parameters):
        with torch.enable_grad():
            features = compute(images)
        ctx.recorded = features, parameters, memory
        return features.detach()

    @staticmethod
    def backward(ctx, gradient):
        features, parameters, memory = ctx.recorded
        for kept, found in zip(memory, torch.autograd.grad(features, parameters, gradient), strict=True):
            kept.copy_(found)
        return None, None, None, *(kept.detach() for kept in memory)


def replay(network):
    """Has a network's passes replayed, as far as a CPU can."""
    compute, parameters = network.forward, list(network.parameters())
    memory = [torch.empty_like(each) for each in parameters]
    network.forward = lambda images: Replayed.apply(compute, memory, images, *parameters)


def train_replayed(name, folder):
    """The same training with the passes replayed that a GPU records: its state, and how many networks they are of."""
    method = new_method(name, folder)
    networks = recorded_networks(method)
    for network in networks:
        replay(network)
    optimiser, average = new_optimiser(method), average_of(method)
    take_steps(method, optimiser, average, range(HALF))
    take_steps(method, optimiser, average, range(HALF, 2 * HALF))
    return {"state": method.state_dict(), "networks": len(networks)}


def train_on_frames(folder):
    """Epochs of the step loop on real frames, from loader to checkpoint, in double precision."""
    method = TRAININGS["MoCo"][1].build(QUARTERS, {}, seed=7).double()
    method.register_forward_pre_hook(
        lambda _, given: replace(given[0], query=given[0].query.double(), key=given[0].key.double())
    )
    output = folder / f"output-{distributed.world_size()}"
    output.mkdir(exist_ok=True)
    with Frames([folder / "video"]) as frames:
        share = distributed.local_slice(BATCH)
        augmentation = MoCoAugmentation(size_px=SIZE_PX)
        loader = ViewLoader(frames, augmentation, batch_size=BATCH, seed=0, threads=1, share=share)
        history = loop.train(
            loop.Training(
                method=method,
                loader=loader,
                optimisation=loop.Optimisation(epochs=2, batch_size=BATCH),
                work=Work(output=output),
                device=torch.device("cpu"),
                probe=lambda backbone, epoch: {},
            )
        )
    return {"state": method.state_dict(), "losses": history}


def use_collectives():
    rows = torch.arange(BATCH, dtype=torch.float64)
    own = distributed.local_rows(rows).clone()
    permutation = shuffle_order(0, 0, own)
    shuffled = distributed.reordered(own, permutation)
    images = views(0, batch_size=BATCH).key.contiguous(memory_format=torch.channels_last)
    orders = [permutation, torch.arange(BATCH), torch.arange(BATCH).flip(0), torch.arange(BATCH).roll(1)]
    mixed = [torch.full((2, 3), float(distributed.rank())), own.clone(), torch.ones(4, 2, 1, 1)]
    first = [each.clone() for each in mixed]
    distributed.average_(mixed)
    distributed.broadcast_(first)
    return {
        "workers": distributed.world_size(),
        "gathered": distributed.all_gather(own),
        "gathered ids": distributed.all_gather(own.long()),
        "share": rows[distributed.local_slice(BATCH)],
        "shuffled": distributed.all_gather(shuffled),
        "back": distributed.all_gather(distributed.reordered(shuffled, torch.argsort(permutation))),
        "reordered": [distributed.reordered(distributed.local_rows(images), order) for order in orders],
        "expected": [distributed.local_rows(images[order]) for order in orders],
        "average": mixed,
        "first": first,
    }


def note_gathered():
    """How many numbers a row has, of whatever this worker gathers from now on."""
    gathered, gather = set(), distributed._all_gather

    def noted(rows, own):
        gathered.add(own[0].numel())
        gather(rows, own)

    distributed._all_gather = noted
    return gathered


def lose_a_worker():
    """What the first worker is told when the last one has gone."""
    if distributed.rank() == distributed.world_size() - 1:
        os._exit(0)
    try:
        distributed.all_gather(torch.ones(1))
    except distributed.WorkerLostError as error:
        return str(error)
    return None


def work_as(rank, workers, folder):
    checkpoint.MOST_OF_TIME = 1e9  # one after every epoch, however short
    gathered = note_gathered()
    results = {name: train(name, folder) for name in TRAININGS}
    results |= {
        "gathered": sorted(gathered),
        "on frames": train_on_frames(folder),
        "resumed": train_resumed("MoCo", folder),
        "replayed": {name: train_replayed(name, folder) for name in RECORDED},
        "collectives": use_collectives(),
    }
    torch.save(results, folder / f"{workers}-{rank}.pt")
    if workers == 2:
        torch.save(lose_a_worker(), folder / "lost.pt")
        os._exit(0)  # there is nobody left to say goodbye to


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
