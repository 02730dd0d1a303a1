"""Operations of planted hospitals, in which it is known what tells the phases, and which methods can see it.

A sheet lies over the organs. Its pattern, its hue, and the organs under it are drawn for every segment, each apart
from the others; instruments, camera and durations do not depend on them. In the planted hospital the pattern is the
phase. In the null hospital, whose videos are the same, the hue is, up to a coin that is tossed for every round.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from trainers.data.synthetic.hospitals import PLANTED_PHASES, Cue
from trainers.data.synthetic.operation import PREPARATION, Segment, ToolUse, draw_tools
from trainers.data.synthetic.scene import Scene
from trainers.data.synthetic.sheets import NUM_HUES, PATTERNS, covered
from trainers.runtime.randomness import numpy_generator

VIEWS = ("overview", "dissected", "half", "bloody", "wall")
"""What may lie under the sheet."""
ROUNDS = 2
"""How often each phase, pattern, hue and view comes; their orders are drawn round by round."""


@dataclass(frozen=True)
class Look:
    """What is seen in a segment, by number: the pattern and the hue of the sheet, and the view under it."""

    pattern: int
    hue: int
    view: int


def draw_looks(seed: int, video: int) -> tuple[Look, ...]:
    """What the segments of a video show, in their order.

    Args:
        seed: the hospital's seed.
        video: the video's number.
    """
    generator = numpy_generator(seed, "looks", video)
    counts = (len(PATTERNS), NUM_HUES, len(VIEWS))
    orders = [np.concatenate([generator.permutation(count) for _ in range(ROUNDS)]).tolist() for count in counts]
    return tuple(Look(*look) for look in zip(*orders, strict=True))


def draw_phase_names(seed: int, video: int, cue: Cue) -> list[str]:
    """The phases of a video's segments.

    By hue, two phases look alike: a coin says for every round which of them it is, and nothing in the video shows it.
    """
    looks = draw_looks(seed, video)
    if cue == "pattern":
        return [PLANTED_PHASES[look.pattern] for look in looks]
    coins = numpy_generator(seed, "coins", video).integers(2, size=ROUNDS).tolist()
    return [PLANTED_PHASES[(look.hue + coins[place // NUM_HUES]) % NUM_HUES] for place, look in enumerate(looks)]


def draw_planted(
    generator: np.random.Generator, num_frames: int, phases: Sequence[str], frames_per_second: int
) -> tuple[tuple[Segment, ...], tuple[ToolUse, ...]]:
    """Segments of random durations that fill `num_frames` frames, and instruments that are handled alike in all."""
    shares = generator.uniform(0.7, 1.3, len(phases))
    stops = [round(float(stop)) for stop in num_frames * np.cumsum(shares) / shares.sum()]
    segments = tuple(Segment(*span) for span in zip(phases, [0, *stops], stops, strict=False))
    alike = [replace(segment, phase=PREPARATION) for segment in segments]
    return segments, draw_tools(generator, alike, frames_per_second)


class PlantedScene(Scene):
    """All frames of one operation of a planted hospital; the names of its phases change none of them.

    It is made as a `Scene` is, of what `draw_planted` has drawn.
    """

    @cached_property
    def _looks(self) -> dict[int, tuple[int, Look]]:
        """Place and look of every segment, by its first frame."""
        looks = draw_looks(*self._ids)
        return {segment.start: place for segment, place in zip(self._segments, enumerate(looks), strict=True)}

    def _painted(self, segment: Segment, progress: float) -> np.ndarray:
        seed, video = self._ids
        place, look = self._looks[segment.start]
        return covered(
            self._view(VIEWS[look.view]),
            numpy_generator(seed, "sheet", video, place),
            pattern=[*PATTERNS][look.pattern],
            hue=look.hue,
            frame_height=self._size[1],
        )
