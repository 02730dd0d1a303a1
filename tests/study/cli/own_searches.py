"""A file of searches of one's own over a stage that takes a moment: some that can be asked, and many that cannot."""

OWN = """
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from search_spaces.recipes import distilled, majority_class
from search_spaces.searches.objectives import ON_FOLDS, ON_VALIDATION
from search_spaces.studies.table3 import table3
from study import Choice, LogUniform, Objective, OrNone, PowerOfTwo, PruningSignal, Row, Search, Study, Uniform, When
from trainers.evaluation.evaluate import Evaluate
from trainers.stage import Stage

KILLED = Path(__file__).with_name("kill")


@dataclass(frozen=True, kw_only=True)
class Worth(Stage):
    x: float
    shape: str
    depth: int

    def run(self, work):
        if self.x == 2.0 and KILLED.exists():
            KILLED.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        (work.output / "value.txt").write_text(str(worth(self.x, self.shape, self.depth)))

    def expected_seconds(self):
        return 0.01


@dataclass(frozen=True, kw_only=True)
class Scored(Evaluate):
    worth: Worth


def worth(x, kind, depth):
    return 90 - abs(x - 3) + {"deep": 2, "wide": 1}.get(kind, 0) + depth


def recipe(conditions, *, seed, x: float = 1.0, kind: str = "deep", depth: int = 1, share: float | None = None):
    return Scored(**vars(majority_class(conditions, seed=seed)), worth=Worth(x=x, shape=kind, depth=depth))


def fragile(conditions, *, seed, x: float = 1.0):
    if 1 < x < 9:
        return {}["no stage at this x"]
    return recipe(conditions, seed=seed, x=x)


def raises(conditions, *, seed, x: float = 1.0):
    raise KeyError("nothing")


def doubled(conditions, *, seed, x: float = 1.0):
    return recipe(conditions, seed=seed, x=2 * x)


def read(folder):
    return float((folder / "value.txt").read_text())


def measured(**parts):
    usual = {"title": "worth, %", "last_stage": lambda evaluate: evaluate.worth, "value": read}
    return Objective(**usual | {"pruning_signal": lambda stage: None, "metric": ""} | parts)


def asked(name, **parts):
    usual = {"recipe": recipe, "axes": {"x": LogUniform(0.1, 10)}, "objective": measured(), "evaluated_in": "ending"}
    return Search(**{"name": name, "title": "Which x?", "question": "?"} | usual | parts)


HERE = (Row(name="here", title="here"),)
ending = Study(name="ending", title="?", question="?", recipe=recipe, rows=HERE)
kinds = Study(
    name="kinds", title="?", question="?", recipe=recipe, axes={"kind": Choice(("deep", "wide"))},
    rows=(Row(name="shallow", title="shallow", parameters={"depth": 7}),),
)
brittle = Study(name="brittle", title="?", question="?", recipe=fragile, rows=HERE)
ALL = {
    "x": LogUniform(0.1, 10),
    "kind": Choice(("deep", "wide")),
    "depth": When("kind", ("deep",), PowerOfTwo(1, 4)),
    "share": OrNone(Uniform(0, 1)),
}

quick = asked("quick", axes=ALL, initial_point={"x": 2.0, "kind": "deep", "depth": 1})
lowest = asked("lowest", objective=measured(maximised=False))
of_kinds = asked("of_kinds", axes={"x": LogUniform(0.1, 10), "kind": Choice(("wide", "deep"))}, evaluated_in="kinds")
breaks = asked("breaks", recipe=fragile, evaluated_in="brittle")
first = asked("first", recipe=fragile, evaluated_in="brittle", initial_point={"x": 2.0})
unread = asked("unread", objective=measured(value=lambda folder: read(folder / "nowhere")))
endless = asked("endless", objective=measured(value=lambda folder: float("nan")))
here = asked("here", recipe=distilled, axes={"momentum": Choice((0.5, 0.9))}, objective=ON_FOLDS, evaluated_in="table3")

renamed = asked("other")
table2 = asked("table2")
axis = asked("axis", axes={"xx": LogUniform(0.1, 10)})
whole = asked("whole", axes={"depth": LogUniform(1, 10)})
value = asked("value", axes={"kind": Choice(("deep", 3))})
bare = asked("bare", axes={"x": (0.1, 10)})
nested = asked("nested", axes={"x": OrNone(When("kind", ("deep",), Uniform(0, 1)))})
twice = asked("twice", axes={"kind": Choice(("deep", "deep"))})
list_ = asked("list_", axes={"kind": Choice((["deep"], ["wide"]))})
empty = asked("empty", axes={})
condition = asked("condition", axes={"kind": Choice(("deep", "wide")), "x": When("kind", ("dep",), Uniform(0, 1))})
early = asked("early", axes={"x": When("kind", ("deep",), Uniform(0, 1)), "kind": Choice(("deep", "wide"))})
never = asked("never", axes={"kind": Choice(("deep", "wide")), "x": When("kind", (), Uniform(0, 1))})
unit = asked("unit", axes={"depth": PowerOfTwo(1, 4, lambda conditions, settings: 0.5)})
outside = asked("outside", initial_point={"x": 20.0})
digits = asked("digits", initial_point={"x": 1.23456})
missing = asked("missing", axes=ALL, initial_point=lambda conditions, fixed: {"x": 2.0, "kind": "deep"})
surplus = asked("surplus", initial_point={"x": 2.0, "depht": 1})
point = asked("point", initial_point=lambda conditions, fixed: 2.0)
pointed = asked("pointed", initial_point=lambda conditions, fixed: fixed["x"])
text = asked("text", objective="accuracy")
function = asked("function", objective=measured(value=3))
title = asked("title", objective=measured(title=""))
under = asked("under", objective_under=lambda conditions, fixed: "accuracy")
last = asked("last", objective=measured(last_stage=lambda evaluate: None))
signal_ = asked("signal_", objective=measured(pruning_signal=lambda stage: stage))
looks = asked("looks", objective=measured(last_stage=lambda evaluate: evaluate))
folds = asked("folds", objective=ON_FOLDS)
nowhere = asked("nowhere", evaluated_in="endign")
suite = asked("suite", evaluated_in="paper")
by_value = asked("by_value", evaluated_in=ending)
others = asked("others", evaluated_in="table3")
rowless = asked("rowless", axes={"kind": Choice(("deep", "narrow"))}, evaluated_in="kinds")
raising = asked("raising", recipe=raises, evaluated_in="risen")
risen = Study(name="risen", title="?", question="?", recipe=raises, rows=HERE)
number = asked("number", recipe=3)
none = asked("none", recipe=lambda conditions, *, seed, x=1.0: None)
"""


def line(text: str) -> int:
    """The line of the file on which a text stands first."""
    return OWN[: OWN.index(text)].count("\n") + 1
