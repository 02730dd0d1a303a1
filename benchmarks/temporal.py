"""Times the temporal model's training: sequences on the device once, beside a copy from the CPU in every step.

    python -m benchmarks.temporal [--small] [--output FILE]

Sequences are as long as Cholec80's at 5 frames per second, and drawn at random.
"""

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import measuring
from trainers.recognition.multi_stage_tcn import TemporalNetwork, temporal_loss
from trainers.recognition.placement import Placed, model_input, placed

NUM_VIDEOS, NUM_ROWS, NUM_FEATURES, NUM_PHASES = 8, 11_500, 2048, 7
SMALL_ROWS, SMALL_FEATURES = 200, 32
BEFORE, ONCE, HALF = "copied in every step", "on the device once", "on the device once, fp16"


def drawn(num_rows: int, num_features: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features and labels of made-up videos."""
    generator = np.random.default_rng(0)
    return [
        (
            generator.standard_normal((num_rows, num_features), dtype=np.float32),
            generator.integers(0, NUM_PHASES, num_rows).astype(np.int8),
        )
        for _ in range(NUM_VIDEOS)
    ]


def trained(network: TemporalNetwork, inputs: Callable[[int], tuple[Tensor, Tensor]], num_features: int) -> Any:
    """A function that takes one training step of a fresh model, on the video that is next."""
    first, _ = inputs(0)
    model = network.build(num_features, NUM_PHASES, seed=0).to(first.device).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-4)
    numbers = count()

    def step() -> None:
        features, labels = inputs(next(numbers) % NUM_VIDEOS)
        loss = temporal_loss(model(features), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def measure(device: torch.device, small: bool) -> dict[str, Any]:
    """Prints the table and returns its figures."""
    num_rows, num_features = (SMALL_ROWS, SMALL_FEATURES) if small else (NUM_ROWS, NUM_FEATURES)
    network = TemporalNetwork(num_layers=3, num_maps=8) if small else TemporalNetwork()
    videos = drawn(num_rows, num_features)

    def before(number: int) -> tuple[Tensor, Tensor]:
        features, labels = videos[number]
        moved = torch.from_numpy(features.T.copy())[None].to(device)
        return moved, torch.from_numpy(labels.astype(np.int64)).to(device)

    def stored(kept: list[Placed]) -> Callable[[int], tuple[Tensor, Tensor]]:
        return lambda number: (model_input(kept[number].features, device), kept[number].labels.to(device))

    half = [(features.astype(np.float16), labels) for features, labels in videos]
    steps = {
        BEFORE: trained(network, before, num_features),
        ONCE: trained(network, stored(placed(videos, device)), num_features),
        HALF: trained(network, stored(placed(half, device)), num_features),
    }
    rounds, repeats = (1, 2) if small else (2, NUM_VIDEOS if device.type == "cuda" else 3)
    times = measuring.in_turns(steps, device, rounds=rounds, repeats=repeats)
    print(f"{network.num_stages} stages of {network.num_layers} layers, {num_rows} rows of {num_features} features")
    for name, value in times.items():
        print(f"  {name:28s}{value:9.1f} ms a step{times[BEFORE] / value:7.2f} ×")
    return {
        "benchmark": "temporal",
        "rows": num_rows,
        "features": num_features,
        "milliseconds": times,
        "times_before": {name: times[BEFORE] / value for name, value in times.items()},
    }


def main() -> None:
    measuring.run(measure, (__doc__ or "").splitlines()[0])


if __name__ == "__main__":
    main()
