"""Times a distilled step beside one of the authors' semantics, and what a batch's normalisation in parts costs.

    python -m benchmarks.step [--small] [--output FILE]

Both steps train a student with InfoNCE against a queue and with the KL divergence from a teacher. The authors' code has
four networks of torchvision in single precision and in train mode, of which one learns; it is written anew here, for
one device. Ours is the step of a study at scale `full`: bf16, a frozen teacher whose head was trained. Batches lie in
memory, so that no data is waited for.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

from benchmarks import measuring
from trainers.data.loading import ViewBatch
from trainers.networks.backbones import Architecture, Backbone
from trainers.networks.features import normalise
from trainers.ssl.distilled_moco import DistilledMoCo
from trainers.ssl.encoders import write_weights
from trainers.ssl.loop import Optimisation, parameter_groups
from trainers.ssl.pairs import EncoderPair, random_pair, started_pair
from trainers.ssl.step import Precision, Stepper
from trainers.ssl.untrained import Untrained

QUEUE_SIZE, EMBEDDING_SIZE = 2048, 128
AUTHORS, OURS, OURS_FP32, ONE_PART = "authors' semantics, fp32", "ours, bf16", "ours, fp32", "ours, bf16, one part"
Step = Callable[[], object]


@dataclass(frozen=True)
class Size:
    """What is trained: an architecture on views of a size."""

    architecture: Architecture
    size_px: int
    batch_size: int


SIZES = {
    "cuda": (Size("resnet50", 224, 128),),
    "cpu": (Size("resnet18", 64, 64), Size("resnet50", 96, 32)),
    "small": (Size("resnet18", 32, 8),),
}


class AuthorsNetwork(nn.Module):
    """torchvision's ResNet with MoCo v2's head: images N×3×H×W to L2-normalised embeddings N×C."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.backbone = {"resnet50": resnet50, "resnet18": resnet18}[architecture]()
        width = self.backbone.fc.in_features
        self.backbone.fc = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, EMBEDDING_SIZE))

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(self.backbone(images), dim=1)


class AuthorsStep:
    """One step of the authors' student and teacher, each with a queue of its own."""

    def __init__(self, size: Size, batches: Iterator[ViewBatch], device: torch.device) -> None:
        self.batches, self.device, self.size = batches, device, size
        networks = [AuthorsNetwork(size.architecture).to(device).train() for _ in range(4)]
        self.query, self.key, self.teacher_query, self.teacher_key = networks
        for frozen in networks[1:]:
            frozen.requires_grad_(False)
        self.optimiser = torch.optim.SGD(self.query.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
        self.queues = [F.normalize(torch.randn(EMBEDDING_SIZE, QUEUE_SIZE, device=device), dim=0) for _ in range(2)]
        self.pointer = 0

    def __call__(self) -> float:
        batch = next(self.batches)
        x_q, x_k = (normalise(view.to(self.device, non_blocking=True)) for view in batch.views)
        q_s = self.query(x_q)
        with torch.no_grad():
            for slow, fast in zip(self.key.parameters(), self.query.parameters(), strict=True):
                slow.data = slow.data * 0.999 + fast.data * 0.001
            k_s, k_t = self.shuffled(self.key, x_k), self.shuffled(self.teacher_key, x_k)
            q_t = self.teacher_query(x_q)
        logits_s, logits_t = self.logits(q_s, k_s, 0), self.logits(q_t, k_t, 1)
        kl = F.kl_div(F.log_softmax(logits_s, 1), F.softmax(logits_t, 1), reduction="batchmean")
        loss = F.cross_entropy(logits_s, torch.zeros(len(q_s), dtype=torch.long, device=self.device)) + 5 * kl
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.enqueue(k_s, k_t)
        return loss.item()

    def shuffled(self, network: nn.Module, images: Tensor) -> Tensor:
        order = torch.randperm(len(images), device=self.device)
        keys: Tensor = network(images[order])[torch.argsort(order)]
        return keys

    def logits(self, queries: Tensor, keys: Tensor, queue: int) -> Tensor:
        positive = torch.einsum("nc,nc->n", queries, keys)[:, None]
        negatives = torch.einsum("nc,ck->nk", queries, self.queues[queue].clone().detach())
        return torch.cat([positive, negatives], 1) / 0.07

    def enqueue(self, *keys: Tensor) -> None:
        for queue, own in zip(self.queues, keys, strict=True):
            queue[:, self.pointer : self.pointer + len(own)] = own.T
        self.pointer = (self.pointer + self.size.batch_size) % QUEUE_SIZE


def our_step(
    size: Size, batches: Iterator[ViewBatch], device: torch.device, *, parts: int, precision: Precision
) -> Step:
    """A step of the product, with a teacher whose head was trained."""
    backbone = Backbone(architecture=size.architecture, batch_norm_splits=parts)
    public = Untrained(backbone=backbone, seed=1)
    config = DistilledMoCo(teacher=public, queue_size=QUEUE_SIZE)
    with tempfile.TemporaryDirectory() as folder:
        write_weights(Path(folder), _untrained_pair(public, Path(folder)))
        method = config.build(backbone, {"teacher": Path(folder)}, 0)
    method = method.to(device).to(memory_format=torch.channels_last).train()
    optimiser = Optimisation(precision=precision).optimiser(parameter_groups(method))
    shape = (size.batch_size, 3, size.size_px, size.size_px)
    stepper, count = Stepper(method, optimiser, precision, shape), iter(range(10**9))
    return lambda: stepper.take(next(batches), 0, next(count))


def _untrained_pair(public: Untrained, folder: Path) -> EncoderPair:
    """A pair of one backbone, as the training of a head leaves it."""
    write_weights(folder, random_pair(public.backbone, EMBEDDING_SIZE, seed=1))
    return started_pair(public.backbone, public, folder, trains="head")


def batches_of(size: Size, device: torch.device) -> Iterator[ViewBatch]:
    """Random images without end, in page-locked memory for a GPU."""
    shape = (2, size.batch_size, 3, size.size_px, size.size_px)
    images = [torch.randint(0, 256, shape, dtype=torch.uint8) for _ in range(3)]
    ids = torch.arange(size.batch_size)
    pinned = device.type == "cuda"
    return cycle([ViewBatch(each.pin_memory() if pinned else each, (), ids) for each in images])


def compared(size: Size, device: torch.device, rounds: int, repeats: int) -> dict[str, Any]:
    """Milliseconds of all steps of one size, and what they say."""
    batches = batches_of(size, device)
    steps: dict[str, Step] = {
        AUTHORS: AuthorsStep(size, batches, device),
        OURS: our_step(size, batches, device, parts=4, precision="bf16"),
        ONE_PART: our_step(size, batches, device, parts=1, precision="bf16"),
        OURS_FP32: our_step(size, batches, device, parts=4, precision="fp32"),
    }
    times = measuring.in_turns(steps, device, rounds=rounds, repeats=repeats)
    rates = {name: size.batch_size / value * 1e3 for name, value in times.items()}
    print(f"{size.architecture}, {size.size_px} px, batch {size.batch_size}")
    for name, rate in rates.items():
        print(
            f"  {name:28s}{times[name]:9.1f} ms{rate:9.0f} frames/s{times[AUTHORS] / times[name]:7.2f} × the authors'"
        )
    print(f"  {'4 parts over one':28s}{times[OURS] / times[ONE_PART]:9.3f} ×")
    return {
        "architecture": size.architecture,
        "size_px": size.size_px,
        "batch_size": size.batch_size,
        "milliseconds": times,
        "frames_per_second": rates,
        "times_the_authors": {name: times[AUTHORS] / value for name, value in times.items()},
        "parts_over_one": times[OURS] / times[ONE_PART],
    }


def peak_memory(size: Size, device: torch.device) -> dict[str, float]:
    """GiB that torch allocates and reserves on a GPU for our step, recorded passes and their capture included."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_reserved()
    step = our_step(size, batches_of(size, device), device, parts=4, precision="bf16")
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved() - before
    print(f"  peak memory: {allocated / 2**30:.1f} GiB allocated, {reserved / 2**30:.1f} GiB reserved")
    return {"allocated_gib": allocated / 2**30, "reserved_gib": reserved / 2**30}


def measure(device: torch.device, small: bool) -> dict[str, Any]:
    """Prints the table and returns its figures."""
    torch.backends.cudnn.deterministic = True  # as in studies
    rounds, repeats = (1, 1) if small else (3, 10 if device.type == "cuda" else 3)
    figures: dict[str, Any] = {"benchmark": "step"}
    sizes = SIZES["small" if small else device.type]
    if device.type == "cuda":
        figures["memory"] = peak_memory(sizes[0], device)
    figures["steps"] = [compared(size, device, rounds, repeats) for size in sizes]
    return figures


def main() -> None:
    measuring.run(measure, (__doc__ or "").splitlines()[0])


if __name__ == "__main__":
    main()
