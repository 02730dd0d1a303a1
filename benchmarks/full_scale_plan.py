"""Plans suite `paper` at full scale, one seed, on Cholec80's 80 videos of 51 hours, with public weights at hand.

    python -m benchmarks.full_scale_plan --device h100 --drop-features

Prints GPU-hours and disk by kind of stage. Nothing is computed, and no video needs to be there.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.planning import dataset
from search_spaces.protocol.conditions import Conditions
from search_spaces.protocol.presets import PRESETS
from search_spaces.protocol.scales import SCALES
from search_spaces.studies.catalogue import SUITES
from study.cli.machine import planned_machine
from study.cli.planning import parts_of
from study.cli.resources import ComputeTarget
from study.core.devices import devices
from study.core.outlook import SECONDS_PER_HOUR, Outlook, PlannedMachine, outlook
from study.core.plan import Plan, make_plan
from study.core.store import Store
from study.core.suite import together
from study.core.tapes import NO_TAPES, TapeChoice
from study.home.request import Request
from study.home.text import duration
from trainers.data.datasets.cholec80 import PHASES
from trainers.pretrained.registry import KINDS, RegisteredWeights

HOURS, FRAMES_PER_SECOND = 51, 25
WEIGHTS = tuple(
    RegisteredWeights(
        name=layout,
        file=f"/nowhere/{layout}.pth",
        digest=f"{number:064x}",
        layout=layout,
        architecture="resnet50",
        embedding_size=128,
        title=f"ResNet-50 on ImageNet, {kind}",
        stamp=(0, 0),
        kind=kind,
        licence="",
    )
    for number, (layout, kind) in enumerate(KINDS.items())
)
"""One of each kind, that exist in name alone."""


@dataclass
class Share:
    """What all missing stages of a kind take."""

    number: int = 0
    gpu_hours: float = 0.0
    hours: float = 0.0
    left_bytes: float = 0.0


def conditions(folder: Path) -> Conditions:
    """Scale `full` on videos that exist in name alone; the annotation of all of them is written into a folder."""
    annotation = folder / "phase.txt"
    rows = [f"{frame}\t{phase}" for frame, phase in enumerate(PHASES)]
    annotation.write_text("\n".join(["Frame\tPhase", *rows, ""]))
    data = dataset()
    num_frames = HOURS * 3600 * FRAMES_PER_SECOND // len(data.recordings)
    recordings = tuple(replace(each, num_frames=num_frames, annotation=str(annotation)) for each in data.recordings)
    return Conditions(
        preset=PRESETS["corrected"],
        scale=SCALES["full"],
        dataset=replace(data, recordings=recordings),
        weights=WEIGHTS,
    )


def planned(
    device: str, tapes: TapeChoice = NO_TAPES, *, drops_features: bool = False
) -> tuple[Plan, PlannedMachine, Outlook]:
    """The plan of the suite in an empty home, on one such device, and what it takes."""
    machine = planned_machine(ComputeTarget(), device)
    with tempfile.TemporaryDirectory() as folder:
        asked = conditions(Path(folder))
        parts = parts_of(SUITES["paper"], Request(study="paper"), asked, asked.measured_on)
        store = Store(Path(folder) / "home")
        plan = make_plan(together(parts), store, machine, tapes, drops_features=drops_features)
    return plan, machine, outlook(plan, machine, plan.seconds)


def shares(plan: Plan, machine: PlannedMachine) -> Mapping[str, Share]:
    """What the stages take, by kind, the longest first."""
    found: dict[str, Share] = {}
    for stage_key in plan.missing:
        stage, hours = plan.stages[stage_key], plan.seconds[stage_key] / SECONDS_PER_HOUR
        share = found.setdefault(stage.kind, Share())
        share.number += 1
        share.hours += hours
        share.gpu_hours += hours * machine.gpus_of(stage)
        share.left_bytes += plan.kept_bytes[stage_key]
    return dict(sorted(found.items(), key=lambda item: -item[1].hours))


def lines(plan: Plan, machine: PlannedMachine, found: Outlook) -> Iterator[str]:
    """A table of the plan in Markdown."""
    yield "| stage | number | GPU-hours | hours | leaves, GB |"
    yield "| :--- | ---: | ---: | ---: | ---: |"
    for kind, share in shares(plan, machine).items():
        cells = f"{share.number} | {share.gpu_hours:.1f} | {share.hours:.1f} | {share.left_bytes / 1e9:.1f}"
        yield f"| {kind} | {cells} |"
    yield ""
    yield (
        f"{machine.title}: {found.gpu_hours:.1f} GPU-hours, {duration(found.wall_seconds)}; "
        f"{found.kept_bytes / 1e9:.1f} GB are kept, at most {found.peak_bytes / 1e9:.1f} GB are there at a time"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="h100", choices=sorted(devices()))
    parser.add_argument("--tape", default="auto", choices=("auto", "off", "features", "embeddings"))
    parser.add_argument("--tape-gb", default=100.0, type=float, help="disk that tapes may take")
    parser.add_argument("--drop-features", action="store_true")
    arguments = parser.parse_args()
    tapes = TapeChoice(kinds=arguments.tape, limit_bytes=arguments.tape_gb * 1e9)
    for line in lines(*planned(arguments.device, tapes, drops_features=arguments.drop_features)):
        print(line)


if __name__ == "__main__":
    main()
