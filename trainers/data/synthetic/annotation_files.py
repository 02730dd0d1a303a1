"""Annotation files of synthetic operations: phases by frame or as intervals, tools and times once a second."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from trainers.data.synthetic.operation import FPS, TOOLS, Segment, ToolUse, visible_tools

Writer = Callable[[Sequence[Segment], Sequence[ToolUse], Fraction], str]


def phase_rows(segments: Sequence[Segment], uses: Sequence[ToolUse], fps: Fraction) -> str:
    """The phase of every frame, as Cholec80 writes it."""
    rows = [f"{frame}\t{segment.phase}" for segment in segments for frame in range(segment.start, segment.stop)]
    return "\n".join(["Frame\tPhase", *rows]) + "\n"


def phase_intervals(segments: Sequence[Segment], uses: Sequence[ToolUse], fps: Fraction) -> str:
    """The phases as intervals in seconds; each ends where the next begins, half a frame before its first."""
    starts = [max(0.0, float((segment.start - Fraction(1, 2)) / fps)) for segment in segments]
    ends = [*starts[1:], float(segments[-1].stop / fps)]
    rows = [
        f"{start:.4f},{end:.4f},{segment.phase}" for start, end, segment in zip(starts, ends, segments, strict=True)
    ]
    return "\n".join(["start,end,phase", *rows]) + "\n"


def tool_rows(segments: Sequence[Segment], uses: Sequence[ToolUse], fps: Fraction) -> str:
    """The visible tools once a second, as Cholec80 writes them."""
    rows = [
        "\t".join([str(frame), *(str(int(seen)) for seen in visible_tools(uses, frame))])
        for frame in range(0, segments[-1].stop, FPS)
    ]
    return "\n".join(["\t".join(["Frame", *TOOLS]), *rows]) + "\n"


def timestamp_rows(segments: Sequence[Segment], uses: Sequence[ToolUse], fps: Fraction) -> str:
    """The time once a second, as Cholec80 writes it."""
    rows = [f"{frame}\t{_clock(frame)}" for frame in range(0, segments[-1].stop, FPS)]
    return "\n".join(["frame\ttime", *rows]) + "\n"


def _clock(frame: int) -> str:
    seconds, rest = divmod(frame, FPS)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest * 100 // FPS:02d}"


WRITERS: Mapping[str, Writer] = {
    "tools": tool_rows,
    "timestamps": timestamp_rows,
    "phases": phase_rows,
    "intervals": phase_intervals,
}
"""By what a file holds; `Hospital.files` has the same names."""
