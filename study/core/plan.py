"""Plan of a set of trials: their distinct stages in order, those that are finished, and the expected cost."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from study.core.checked_speeds import read_speeds
from study.core.graph import configs, inputs, key, source_hash, walk
from study.core.manifest import Manifest
from study.core.speeds import Machine, Speeds
from study.core.store import Store
from study.core.study import Trial
from study.core.tapes import NO_TAPES, TapeChoice, choose_tapes, with_tapes
from trainers.stage import Stage


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The stages of a set of trials.

    Attributes:
        trials: the trials, in table order.
        stages: every distinct stage by key, each after its inputs.
        cached: keys of the stages that are finished.
        missing: keys of the stages that must be computed, in order, without those that only finished stages read.
        users: the numbers of the trials that need a stage.
        seconds: expected cost of every stage, by key.
        measured: keys of the stages whose cost was corrected by what stages like them took on such a machine.
        kept_bytes: expected size on disk of every stage, by key.
        working_bytes: what every stage needs there beside it while it is computed, by key.
        tapes: keys of the stages that others replay; they are of no use once those are finished.
        dropped: keys of the missing stages that the run removes once all that reads them is finished.
        saved_seconds: expected seconds that replaying saves, those of recording taken off.
        changed_sources: the classes whose file changed since stages were computed, though their `revision` did not, by
            name; each with the number of finished stages.
    """

    trials: tuple[Trial, ...]
    stages: Mapping[str, Stage]
    cached: frozenset[str]
    missing: tuple[str, ...]
    users: Mapping[str, tuple[int, ...]]
    seconds: Mapping[str, float]
    measured: frozenset[str]
    kept_bytes: Mapping[str, float] = field(default_factory=dict)
    working_bytes: Mapping[str, float] = field(default_factory=dict)
    tapes: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    saved_seconds: float = 0.0
    changed_sources: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = field(default=())

    @property
    def shared(self) -> tuple[str, ...]:
        """The stages that more than one trial needs."""
        return tuple(k for k, trials in self.users.items() if len(trials) > 1 and k not in self.tapes)

    @property
    def expected_seconds(self) -> float:
        """Expected seconds of the missing stages, one after the other."""
        return sum(self.seconds[stage_key] for stage_key in self.missing)

    @property
    def unshared_seconds(self) -> float:
        """Expected seconds of all trials if each computed its own stages, but for tapes."""
        return sum(self.seconds[k] * (1 if k in self.tapes else len(trials)) for k, trials in self.users.items())

    @property
    def num_unshared(self) -> int:
        """Number of stages if trials shared none."""
        return sum(len(trials) for k, trials in self.users.items() if k not in self.tapes)

    def by_type(self) -> list[dict[str, Any]]:
        """One record per type of stage: how many, shared, cached, missing, and the seconds expected."""
        counts: dict[str, Counter[str]] = {}
        seconds: dict[str, float] = defaultdict(float)
        shared, missing = set(self.shared), set(self.missing)
        for stage_key, stage in self.stages.items():
            count = counts.setdefault(stage.kind, Counter())
            count["stages"] += 1
            count["shared"] += stage_key in shared
            count["cached"] += stage_key in self.cached
            count["missing"] += stage_key in missing
            seconds[stage.kind] += self.seconds[stage_key] if stage_key in missing else 0
        return [{"type": name, **count, "seconds": seconds[name]} for name, count in counts.items()]


class Sizes:
    """Expected sizes of stages, corrected by those of finished stages of their type; sizes are the same anywhere.

    Args:
        manifests: of finished stages.
    """

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        measured: dict[str, list[float]] = defaultdict(list)
        for manifest in manifests:
            if manifest.expected_bytes > 0:  # those of earlier versions expect none
                found = sum(size for size, _ in manifest.files.values())
                measured[manifest.stage].append(found / manifest.expected_bytes)
        self._ratios = {stage: statistics.median(each) for stage, each in measured.items()}

    def kept(self, stage: Stage) -> float:
        """Bytes that a stage is expected to leave."""
        return stage.expected_bytes() * self._ratios.get(type(stage).__name__, 1.0)


def make_plan(
    trials: Sequence[Trial],
    store: Store,
    machine: Machine | None = None,
    tapes: TapeChoice = NO_TAPES,
    *,
    drops_features: bool = False,
) -> Plan:
    """Plans trials against what the store already holds.

    Args:
        trials: what is planned.
        store: the finished stages.
        machine: where trials would be computed; stages of which nothing was measured take what they expect of two CPU
            cores where it is not given.
        tapes: which recordings of frozen networks stages may replay.
        drops_features: whether the run removes stages that may be, once all that reads them is finished.

    Raises:
        MachineError: the manifest of a finished stage among them is damaged.
    """
    stages = walk(*(trial.stage for trial in trials))
    manifests = {manifest.key: manifest for manifest in store.manifests()}
    sizes = Sizes(manifests.values())
    speeds = Speeds(manifests.values(), read_speeds(store.home), machine)
    replaying = _replaying(stages, store, trials, tapes, Speeds((), (), machine).seconds)
    unsaved = {k: speeds.seconds(stages[k]) for k in replaying}
    stages = with_tapes(stages, replaying)
    cached = frozenset(stage_key for stage_key in stages if store.find(stage_key))
    needed = _needed(stages, cached, trials)
    manifests |= {stage_key: store.manifest(stage_key) for stage_key in cached - manifests.keys()}  # the damaged ones
    finished = {stage_key: manifests[stage_key] for stage_key in cached}
    seconds = {k: speeds.seconds(s) for k, s in stages.items()}
    chosen = frozenset(key(tape) for stage in stages.values() for tape in stage.aids().values())
    saved = sum(unsaved[k] - seconds[k] for k in replaying) - sum(seconds[k] for k in chosen - cached)
    return Plan(
        trials=tuple(trials),
        stages=stages,
        cached=cached,
        missing=tuple(stage_key for stage_key in stages if stage_key in needed),
        users=_users(stages, trials),
        seconds=seconds,
        measured=frozenset(k for k, s in stages.items() if speeds.is_measured(s)),
        kept_bytes={k: sizes.kept(s) for k, s in stages.items()},
        working_bytes={k: s.expected_working_bytes() for k, s in stages.items()},
        tapes=chosen,
        dropped=frozenset(k for k in needed if stages[k].is_removable) if drops_features else frozenset(),
        saved_seconds=saved,
        changed_sources=_changed_sources(stages, finished),
        warnings=tuple(_other_versions(stages, finished)),
    )


def _users(stages: Mapping[str, Stage], trials: Sequence[Trial]) -> dict[str, tuple[int, ...]]:
    """The numbers of the trials that need each stage; every stage hands its own down to its inputs, the last first."""
    users: dict[str, set[int]] = {stage_key: set() for stage_key in stages}
    for trial in trials:
        users[key(trial.stage)].add(trial.number)
    for stage_key in reversed(users):
        for needed in _read_by(stages[stage_key]):
            users[key(needed)] |= users[stage_key]
    return {stage_key: tuple(sorted(numbers)) for stage_key, numbers in users.items()}


def _needed(stages: Mapping[str, Stage], cached: frozenset[str], trials: Sequence[Trial]) -> set[str]:
    needed: set[str] = set()
    pending = [key(trial.stage) for trial in trials]
    while pending:
        stage_key = pending.pop()
        if stage_key in cached or stage_key in needed:
            continue
        needed.add(stage_key)
        pending.extend(key(stage) for stage in _read_by(stages[stage_key]))
    return needed


def _read_by(stage: Stage) -> tuple[Stage, ...]:
    """The inputs and aids of a stage."""
    return (*inputs(stage).values(), *stage.aids().values())


def _replaying(
    stages: Mapping[str, Stage],
    store: Store,
    trials: Sequence[Trial],
    tapes: TapeChoice,
    seconds: Callable[[Stage], float],
) -> dict[str, Stage]:
    """The missing stages that replay a tape, by key."""
    if tapes.kinds == "off":
        return {}
    cached = frozenset(stage_key for stage_key in stages if store.find(stage_key))
    needed = _needed(stages, cached, trials)
    missing = {stage_key: stage for stage_key, stage in stages.items() if stage_key in needed}

    def is_recorded(tape_key: str) -> bool:
        return bool(store.find(tape_key) or (tapes.begun and store.unfinished(tape_key)))

    return choose_tapes(missing, tapes, is_recorded, seconds)


def _changed_sources(stages: Mapping[str, Stage], manifests: Mapping[str, Manifest]) -> dict[str, int]:
    changed: Counter[str] = Counter()
    for stage_key, stage in stages.items():
        if stage_key not in manifests:
            continue
        recorded = manifests[stage_key].sources
        for cls in configs(stage):
            name = f"{cls.__module__}.{cls.__qualname__}"
            if recorded.get(name, source_hash(cls)) != source_hash(cls):
                changed[name] += 1
    return dict(sorted(changed.items()))


def _other_versions(stages: Mapping[str, Stage], manifests: Mapping[str, Manifest]) -> list[str]:
    """Sentences on finished stages that were computed with other libraries than those of this machine."""
    totals = Counter(stages[stage_key].kind for stage_key in manifests)
    notes = (
        (stages[stage_key].kind, stages[stage_key].other_versions(manifest.versions))
        for stage_key, manifest in manifests.items()
    )
    found = Counter((kind, note) for kind, note in notes if note)
    return [
        f"{count} of {totals[kind]} finished stages {kind} were computed {note}: `freelunch remove KEY` has one "
        "computed again, so that all of them agree."
        for (kind, note), count in sorted(found.items())
    ]
