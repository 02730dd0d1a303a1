"""Choice of tapes: recordings of what frozen networks say, which several stages replay in place of computing it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from study.core.graph import key, walk
from trainers.stage import Stage

CLEAR_GAIN = 0.5
"""Part of the time of recording that a tape must save beside it: what it costs in disk is not counted."""
STAGE_SECONDS = 10.0
"""Of the start of one more stage, and of publishing it."""
Tapes = Literal["auto", "off", "features", "embeddings"]
"""`auto`: what costs least; `features` or `embeddings`: this kind wherever several stages can replay it."""


@dataclass(frozen=True, kw_only=True)
class TapeChoice:
    """What decides which tapes a plan takes.

    Attributes:
        kinds: the tapes that are wanted.
        limit_bytes: that all of them may take on disk, beside those that are recorded.
        for_one: record for a single stage, too, as a search does, whose other stages are not known yet.
        begun: take those too that are being recorded, or were interrupted, whatever the limit.
    """

    kinds: Tapes = "off"
    limit_bytes: float = 0.0
    for_one: bool = False
    begun: bool = False


NO_TAPES = TapeChoice()
TAPES_AT_WORK = TapeChoice(kinds="auto", begun=True)
"""Those of a run that goes on, as its other observers see them."""


@dataclass
class _Candidate:
    """A tape, and the stages that could replay it, by key: as they are, and as they replay it."""

    tape: Stage
    is_recorded: bool
    stages: dict[str, tuple[Stage, Stage]] = field(default_factory=dict)

    def saving(self, seconds: Callable[[Stage], float], free: Iterable[str]) -> float:
        """Seconds that are saved where those of its stages replay it that are free, beyond those of a clear gain."""
        saved = sum(seconds(self.stages[each][0]) - seconds(self.stages[each][1]) for each in free)
        return saved - (0.0 if self.is_recorded else (1 + CLEAR_GAIN) * seconds(self.tape) + STAGE_SECONDS)


def choose_tapes(
    missing: Mapping[str, Stage],
    choice: TapeChoice,
    is_recorded: Callable[[str], bool],
    seconds: Callable[[Stage], float],
    size: Callable[[Stage], float] = lambda tape: tape.expected_bytes(),
) -> dict[str, Stage]:
    """The stages that replay a tape, by key, each with its tape among its aids.

    The tape that saves most is taken first, and so on while tapes save time (`auto`) or there are stages without one
    (one of the kinds), and as long as they fit on the disk.

    Args:
        missing: stages that are to be computed, by key.
        choice: what is wanted.
        is_recorded: whether the tape with a key is there.
        seconds: expected for a stage.
        size: expected of a tape, in bytes.
    """
    candidates = _candidates(missing, choice, is_recorded)
    replaying: dict[str, Stage] = {}
    room = choice.limit_bytes
    while candidates:
        free = {k: [each for each in c.stages if each not in replaying] for k, c in candidates.items()}
        useful = {k: c for k, c in candidates.items() if len(free[k]) >= (1 if c.is_recorded or choice.for_one else 2)}
        savings = {k: c.saving(seconds, free[k]) for k, c in useful.items()}
        fitting = [k for k in savings if candidates[k].is_recorded or size(candidates[k].tape) <= room]
        best = max(fitting, key=lambda k: (savings[k], k), default=None)
        if best is None or (choice.kinds == "auto" and savings[best] <= 0):
            break
        chosen = candidates.pop(best)
        room -= 0.0 if chosen.is_recorded else size(chosen.tape)
        replaying |= {each: chosen.stages[each][1] for each in free[best]}
    return replaying


def _candidates(
    missing: Mapping[str, Stage], choice: TapeChoice, is_recorded: Callable[[str], bool]
) -> dict[str, _Candidate]:
    """The tapes that are wanted, by key, with the stages that ask for one of them or for a shorter one."""
    found: dict[str, _Candidate] = {}
    for family in _families(missing, choice):
        for tape_key, (tape, _) in family.items():
            candidate = found[tape_key] = _Candidate(tape, is_recorded(tape_key))
            for shorter, stages in family.values():
                if shorter.expected_seconds() <= tape.expected_seconds():
                    candidate.stages |= {each: (missing[each], missing[each].replaying(tape)) for each in stages}
    return found


_Family = dict[str, tuple[Stage, list[str]]]
"""Tapes of the same at several lengths, by key, each with the keys of the stages that ask for it."""


def _families(missing: Mapping[str, Stage], choice: TapeChoice) -> Iterable[_Family]:
    families: dict[str, _Family] = {}
    for stage_key, stage in missing.items():
        for kind, tape in stage.tapes().items() if choice.kinds != "off" else ():
            if choice.kinds in ("auto", kind):
                family = families.setdefault(key(tape.shortest()), {})
                family.setdefault(key(tape), (tape, []))[1].append(stage_key)
    return families.values()


def with_tapes(stages: Mapping[str, Stage], replaying: Mapping[str, Stage]) -> dict[str, Stage]:
    """The stages of a plan in order, some of them replaying tapes: each tape comes before the first that does."""
    ordered: dict[str, Stage] = {}
    for stage_key, stage in stages.items():
        taking = replaying.get(stage_key, stage)
        for needed_key, needed in walk(*taking.aids().values()).items():
            ordered.setdefault(needed_key, needed)
        ordered[stage_key] = taking
    return ordered
