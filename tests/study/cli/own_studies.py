"""A file of studies of one's own: some that can be asked, and many that cannot."""

OWN = """
from dataclasses import dataclass
from functools import partial

from search_spaces.recipes import distilled
from study import Choice, Curve, Row, Study
from trainers.stage import Stage


def asked(name, recipe=distilled, **parts):
    return Study(**{"name": name, "title": "?", "question": "?", "recipe": recipe, "rows": ROWS} | parts)


def raises(conditions, *, seed):
    return {}["nothing"]


def misspells(conditions, *, seed):
    return distilled(conditions, seed=seed, tau=0.1)


def seedless(conditions):
    return distilled(conditions, seed=0)


def demanding(conditions, *, seed, warmth):
    return distilled(conditions, seed=seed)


def unread(conditions, *, seed, warmth: "Warmth" = 1.0):
    return distilled(conditions, seed=seed)


def listed(conditions, *, seed, layers: list = [1, 2]):
    return distilled(conditions, seed=seed)


@dataclass  # not hashable
class Called:
    queue_size: int

    def __call__(self, conditions, *, seed: int, momentum: float = 0.9):
        return distilled(conditions, seed=seed, queue_size=self.queue_size, momentum=momentum)


@dataclass(frozen=True, kw_only=True)
class Costless(Stage):
    def run(self, work): ...

    def expected_seconds(self): ...


ROWS = (Row(name="a", title="a"),)
MOMENTA = {"momentum": Choice((0.9, 0.5))}
part = asked("part", partial(distilled, queue_size=32), axes=MOMENTA)
nameless = asked("nameless", lambda c, *, seed, m=0.9: distilled(c, seed=seed, momentum=m), axes={"m": Choice((0.9,))})
instance = asked("instance", Called(32), axes=MOMENTA)
layers = asked("layers", listed, axes={"layers": Choice(([1], [2]))}, curve=Curve(axis="layers", title="l"), rows=())
none = asked("none", lambda c, *, seed: None)
early = asked("early", lambda c, *, seed: distilled(c, seed=seed).predictions)
raising = asked("raising", raises)
misspelt = asked("misspelt", misspells)
no_seed = asked("no_seed", seedless)
no_conditions = asked("no_conditions", lambda *, seed: None)
demanded = asked("demanded", demanding)
annotated = asked("annotated", unread, axes={"warmth": Choice((1.0,))})
number = asked("number", 3)
parameter = asked("parameter", rows=(Row(name="a", title="a", parameters={"tau": 1}),))
grid = asked("grid", axes={}, rows=())
repeated = asked("repeated", axes={"momentum": Choice((0.9, 0.9))})
reference = asked("reference", reference="b")
axes = asked("axes", axes={"momentum": (0.9, 0.5)})
list_ = asked("list_", axes={"momentum": Choice(([1],))})
bare = asked("bare", rows=Row(name="a", title="a"))
cost = asked("cost", lambda c, *, seed: Costless())
ok = Study(name="ok", title="?", question="?", recipe=distilled, rows=(Row(name="a", title="a"),))
renamed = Study(name="other", title="?", question="?", recipe=distilled, rows=(Row(name="a", title="a"),))
table3 = Study(name="table3", title="?", question="?", recipe=distilled, rows=(Row(name="a", title="a"),))
empty = Study(name="empty", title="?", question="?", recipe=distilled)
axis = Study(name="axis", title="?", question="?", recipe=distilled, axes={"lamda": Choice((1.0,))})
twice = Study(
    name="twice", title="?", question="?", recipe=distilled, rows=(Row(name="a", title="a"), Row(name="b", title="a"))
)
curve = Study(
    name="curve", title="?", question="?", recipe=distilled, axes={"momentum": Choice((0.5,))},
    curve=Curve(axis="temperature", title="τ"),
)
value = Study(name="value", title="?", question="?", recipe=distilled, axes={"temperature": Choice((-1.0,))})
weight = Study(name="weight", title="?", question="?", recipe=distilled, axes={"distillation_weight": Choice((-1.0,))})
queue_ = Study(name="queue_", title="?", question="?", recipe=distilled, axes={"queue_size": Choice((33,))})
both = Study(
    name="both", title="?", question="?", recipe=distilled,
    rows=(Row(name="a", title="a", parameters={"queue_size": 32, "queue_batches": 4}),),
)
fraction = Study(name="fraction", title="?", question="?", recipe=distilled, axes={"label_fraction": Choice((1.5,))})
"""
