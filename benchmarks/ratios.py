"""Runs all benchmarks, and ends with one table: the ratios that matter beside what is aimed at.

    python -m benchmarks.ratios [--small] [--output FILE]

Each benchmark prints its own figures while it runs; one that fails leaves its rows empty. A ratio compares what ran in
turns in one run, so that it holds on a machine that does other work, too. `--small` leaves out those of planning and of
the overhead of trials.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import full_scale_plan, gpu, ingest, measuring, overhead, planning

FASTER = {("resnet18", 64): 1.9, ("resnet50", 96): 2.3}
"""Least speed of a step over the authors' on a CPU with bf16, by architecture and pixels."""
GPU_RATE, GPU_MEMORY_GIB = 1300, 24 * 1e9 / 2**30


@dataclass(frozen=True)
class Ratio:
    """A figure, and the bound that is aimed at."""

    what: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The row of the table."""
        reached = self.value >= self.bound if self.at_least else self.value <= self.bound
        sign = "≥" if self.at_least else "≤"
        return self.what, f"{self.value:,.4g}", f"{sign} {self.bound:,.4g}", "reached" if reached else "missed"


def ratios(figures: Mapping[str, Any]) -> Iterator[Ratio]:
    """The rows of the table for those benchmarks that ran; sizes without an aim are left out."""
    for step in figures["step"].get("steps", ()):
        name = f"{step['architecture']}, {step['size_px']} px"
        if (aim := FASTER.get((step["architecture"], step["size_px"]))) is not None:
            yield Ratio(f"step, {name}: times the authors'", step["times_the_authors"]["ours, bf16"], aim)
        if step["size_px"] == 224:
            yield Ratio(f"step, {name}: frames/s", step["frames_per_second"]["ours, bf16"], GPU_RATE)
        yield Ratio(f"step, {name}: 4 parts of a batch over one", step["parts_over_one"], 1.05, at_least=False)
    if memory := figures["step"].get("memory"):
        yield Ratio("step: GiB on the GPU", memory["reserved_gib"], GPU_MEMORY_GIB, at_least=False)
    if loaders := figures["data_path"].get("times_ours"):
        yield Ratio("data path: CPU time of the authors' loader over ours", loaders["authors' loader"], 12)
        if "albumentations" in loaders:  # where it is installed
            yield Ratio("data path: CPU time of albumentations over ours", loaders["albumentations"], 2)
    if (waited := figures["resuming"].get("data_wait")) is not None:
        yield Ratio("long epoch: share of a step that waits for data", waited, 0.05, at_least=False)
        apart = figures["resuming"]["largest_difference"]
        yield Ratio("interrupted training: difference of its weights", apart, 0, at_least=False)
    for line in figures["ingest"].get("speeds", ()):
        yield Ratio(f"ingest, {line['video']}: speed over decoding", line["ingest"] / line["decoding"], 1.1)
        yield Ratio(f"ingest, {line['video']}: passes over a file", line["passes"], 2, at_least=False)
        yield Ratio(f"ingest, {line['video']}: peak MiB", line["peak_mib"], 1024, at_least=False)
    if plan := figures["full_scale_plan"].get("kept_gb"):
        hours = figures["full_scale_plan"]["gpu_hours"]
        yield Ratio("paper at full scale, planned for one H100: GPU-hours", hours, 100, at_least=False)
        yield Ratio("paper at full scale, without its features: GB kept", plan, 60, at_least=False)


def table(found: list[Ratio]) -> str:
    """The ratios in columns."""
    rows = [("", "measured", "aim", ""), *(each.cells for each in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"{what:{widths[0]}s}  {value:>{widths[1]}s}  {aim:>{widths[2]}s}  {said}".rstrip()
        for what, value, aim, said in rows
    )


def timed_ingest(small: bool) -> dict[str, Any]:
    """Speeds of ingest beside plain programs."""
    sizes, minutes = (["480p"], 0.2) if small else (list(ingest.SIZES), 2.0)
    with tempfile.TemporaryDirectory() as folder:
        rows = [asdict(ingest.time_all(Path(folder), size, minutes)) for size in sizes]
    print(ingest.table(rows))
    return {"speeds": rows}


def planned_paper() -> dict[str, Any]:
    """The plan of the paper at full scale."""
    plan, machine, outlook = full_scale_plan.planned("h100", drops_features=True)
    print("\n".join(full_scale_plan.lines(plan, machine, outlook)))
    return {"gpu_hours": outlook.gpu_hours, "kept_gb": outlook.kept_bytes / 1e9}


def measure(device: torch.device, small: bool) -> dict[str, Any]:
    """Prints the figures of every benchmark and the table at their end, and returns them by name."""
    others = {"ingest": lambda: timed_ingest(small), "full_scale_plan": planned_paper}
    figures = gpu.measure(device, small)
    figures |= {name: gpu.guarded(name, work) for name, work in others.items()}
    for benchmark in () if small else (planning, overhead):
        gpu.guarded(benchmark.__name__, benchmark.main)
    found = list(ratios(figures))
    print(f"\n{table(found)}")
    return {**figures, "ratios": [each.cells for each in found]}


def main() -> None:
    measuring.run(measure, (__doc__ or "").splitlines()[0])


if __name__ == "__main__":
    main()
