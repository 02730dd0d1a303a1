"""Course of a synthetic cholecystectomy: its phases and the instruments in them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainers.data.datasets.cholec80 import PHASES

FPS = 25
TOOLS = ("Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag")
"""In column order, as Cholec80's tool files write them."""

PREPARATION, CALOT, CLIPPING, DISSECTION, PACKAGING, CLEANING, RETRACTION = PHASES
TROCAR = "TrocarPlacement"
"""The phase before these, which not every hospital annotates."""
OBLIGATORY = (CALOT, CLIPPING, DISSECTION)
MEAN_SECONDS = {
    TROCAR: 180,
    PREPARATION: 125,
    CALOT: 954,
    CLIPPING: 168,
    DISSECTION: 857,
    PACKAGING: 98,
    CLEANING: 178,
    RETRACTION: 83,
}
"""Roughly what the phases last in Cholec80."""
FLATTENING = 0.7
"""Exponent on a phase's share: a minute's video would otherwise show its rarest phases for two seconds only."""

CLOSINGS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.36, (PACKAGING, CLEANING, RETRACTION)),
    (0.20, (CLEANING, PACKAGING, RETRACTION)),
    (0.10, (PACKAGING, RETRACTION)),
    (0.14, (PACKAGING, CLEANING, RETRACTION, CLEANING)),
    (0.12, (PACKAGING, RETRACTION, CLEANING, RETRACTION)),
    (0.08, (CLEANING, PACKAGING)),
)
"""Orders of the phases after the gallbladder's dissection, with probabilities."""

RIGHT_HAND, LEFT_HAND, ASSISTANT, NO_PORT = range(4)


@dataclass(frozen=True)
class Segment:
    """A stretch of one phase: frames `start` up to, not including, `stop`."""

    phase: str
    start: int
    stop: int


@dataclass(frozen=True)
class ToolUse:
    """An instrument in view, from its coming to its going."""

    tool: str
    port: int
    """The origin: `RIGHT_HAND`, `LEFT_HAND` or `ASSISTANT`; `NO_PORT` for the specimen bag."""
    phase: str
    start: int
    stop: int


@dataclass(frozen=True)
class Habit:
    """Shares of a phase's time in which instruments are in view; in the rest there is none."""

    right: Mapping[str, float]
    left: float
    assistant: float
    bag: float = 0.0


HABITS = {
    TROCAR: Habit({"Trocar": 0.7}, left=0.15, assistant=0.0),
    PREPARATION: Habit({"Grasper": 0.25, "Bipolar": 0.02}, left=0.75, assistant=0.2),
    CALOT: Habit({"Hook": 0.74, "Bipolar": 0.07, "Irrigator": 0.04, "Scissors": 0.03}, left=0.85, assistant=0.35),
    CLIPPING: Habit({"Clipper": 0.55, "Scissors": 0.3, "Hook": 0.05}, left=0.8, assistant=0.3),
    DISSECTION: Habit({"Hook": 0.78, "Bipolar": 0.06, "Irrigator": 0.05, "Scissors": 0.03}, left=0.85, assistant=0.3),
    PACKAGING: Habit({"Grasper": 0.75}, left=0.55, assistant=0.1, bag=0.93),
    CLEANING: Habit({"Irrigator": 0.5, "Bipolar": 0.25, "Grasper": 0.1}, left=0.6, assistant=0.2, bag=0.0),
    RETRACTION: Habit({"Grasper": 0.55}, left=0.3, assistant=0.0, bag=0.7),
}


def draw_phases(generator: np.random.Generator, num_frames: int, *, trocars: bool = False) -> tuple[Segment, ...]:
    """Draws a plausible course of an operation that fills `num_frames` frames.

    Args:
        generator: what to draw with.
        num_frames: the video's length; at least one frame a phase.
        trocars: whether it begins with the placement of trocars.
    """
    order = [TROCAR] if trocars else []
    order += [PREPARATION] if generator.random() < 0.87 else []
    order += OBLIGATORY
    chances = np.array([chance for chance, _ in CLOSINGS])
    order += CLOSINGS[generator.choice(len(CLOSINGS), p=chances / chances.sum())][1]
    shares = np.array([MEAN_SECONDS[phase] / order.count(phase) for phase in order]) ** FLATTENING
    shares *= np.exp(generator.normal(0, 0.3, len(order)))
    ends = np.arange(1, len(order) + 1) + (num_frames - len(order)) * np.cumsum(shares) / shares.sum()
    stops = [round(float(end)) for end in ends]
    return tuple(Segment(*span) for span in zip(order, [0, *stops], stops, strict=False))


def draw_tools(
    generator: np.random.Generator, segments: Sequence[Segment], frames_per_second: int = FPS
) -> tuple[ToolUse, ...]:
    """Draws the instruments of every phase: they come, work and go, and now and then none is in view."""
    uses: list[ToolUse] = []
    for segment in segments:
        habit, phase = HABITS[segment.phase], segment.phase
        hands = (
            (RIGHT_HAND, habit.right),
            (LEFT_HAND, {"Grasper": habit.left}),
            (ASSISTANT, {"Grasper": habit.assistant}),
            (NO_PORT, {"SpecimenBag": habit.bag}),
        )
        for port, shares in hands:
            episodes = _episodes(generator, segment, shares, frames_per_second)
            uses += (ToolUse(tool, port, phase, *span) for tool, *span in episodes)
    return tuple(uses)


def visible_tools(uses: Sequence[ToolUse], frame: int) -> tuple[bool, ...]:
    """Whether each of `TOOLS` is in view at a frame."""
    seen = {use.tool for use in uses if use.start <= frame < use.stop}
    return tuple(tool in seen for tool in TOOLS)


def _episodes(
    generator: np.random.Generator, segment: Segment, shares: Mapping[str, float], frames_per_second: int
) -> Iterator[tuple[str, int, int]]:
    names = [*shares, ""]
    chances = np.array([*shares.values(), 1 - sum(shares.values())])
    num_episodes = max(2, round((segment.stop - segment.start) / (3.5 * frames_per_second)))
    drawn = [names[i] for i in generator.choice(len(names), num_episodes, p=chances)]
    if segment.phase == CLIPPING and "Clipper" in shares:  # what is cut has been clipped before
        drawn = ["Clipper", *sorted(drawn[1:], key=lambda tool: tool == "Scissors")]
    lengths = generator.uniform(0.5, 1.5, num_episodes)
    ends = segment.start + (segment.stop - segment.start) * np.cumsum(lengths) / lengths.sum()
    start, stops = segment.start, [round(float(end)) for end in ends]
    for position, (tool, stop) in enumerate(zip(drawn, stops, strict=True)):
        goes_on = position + 1 < num_episodes and drawn[position + 1] == tool
        if not goes_on:
            if tool and stop > start:
                yield tool, start, stop
            start = stop
