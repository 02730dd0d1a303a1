"""What every worker of `test_distributed` computes: trainings of all methods, and the collectives between them."""

import os
from dataclasses import replace

import torch

from tests.trainers.tiny import (
    BACKBONE,
    CONVNEXT,
    EMBEDDING,
    ONE_SPLIT,
    SIZE_PX,
    TIMM_RESNET,
    VIT,
    new_optimiser,
    views,
    views_for,
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
from trainers.ssl.pairs import shuffle_order
from trainers.ssl.regioncl import RegionCL
from trainers.ssl.seed import SEED
from trainers.ssl.simsiam import SimSiam
from trainers.ssl.step import learning_parameters, recorded_networks, take_step
from trainers.ssl.swav import SwAV
from trainers.ssl.transfer import CombinedMoCo
from trainers.ssl.untrained import Untrained
from trainers.stage import Work

BATCH = 16
BUCKET_BYTES = 512
"""A parameter or two."""
HALF = 1
"""Steps of an epoch, the first of two: what it leaves (queues, averages, statistics) is used in the second."""
WORKERS = (2, 4)
QUARTERS = replace(BACKBONE, batch_norm_splits=4)
FIRST = replace(QUARTERS, running_statistics="first")
SIZES = {"temperature": 0.2, "queue_size": 2 * BATCH, "momentum": 0.9, "embedding_size": EMBEDDING}
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
    "SEED": (QUARTERS, SEED(teacher=START, queue_size=2 * BATCH, embedding_size=EMBEDDING)),
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
    "SwAV": (ONE_SPLIT, SwAV(num_prototypes=12, queue_size=BATCH, queue_from_epoch=0, embedding_size=EMBEDDING)),
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
