from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pytest

from study import Choice, Row, Study
from study.core.recipe import vocabulary
from study.core.study import setting_notes
from study.core.values import coerced
from study.home.text import nearest
from trainers.stage import InputError, Stage, Work


@dataclass(frozen=True, kw_only=True)
class Point(Stage):
    values: tuple[str, ...]
    seed: int

    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        return 1.0


def recipe(
    conditions: str,
    *,
    seed: int,
    rate: float | None = None,
    size: int = 3,
    flag: bool = False,
    kind: Literal["none", "head", "all"] = "head",
    splits: Literal[1, 4] = 4,
) -> Point:
    return Point(values=(conditions, repr(rate), repr(size), repr(flag), kind, repr(splits)), seed=seed)


def baseline(conditions: str, *, seed: int, size: int = 3) -> Point:
    return Point(values=("baseline", repr(size)), seed=seed)


def study(**changes: object) -> Study:
    parts: dict[str, object] = {
        "name": "example",
        "title": "Example",
        "question": "What?",
        "recipe": recipe,
        "axes": {"kind": Choice(("none", "head"), ("nothing", "the head"))},
        "rows": (Row(name="base", title="baseline", recipe=baseline, baseline=True),),
    }
    return Study(**{**parts, **changes})  # type: ignore[arg-type]


def test_a_study_asks_its_grid_then_its_rows_seed_by_seed():
    trials = study().trials("here", seeds=(0, 7))
    assert [(t.number, t.row.name, t.seed, t.label) for t in trials] == [
        (0, "none", 0, "none, seed 0"),
        (1, "head", 0, "head, seed 0"),
        (2, "base", 0, "base, seed 0"),
        (3, "none", 7, "none, seed 7"),
        (4, "head", 7, "head, seed 7"),
        (5, "base", 7, "base, seed 7"),
    ]
    assert [t.row.title for t in trials[:3]] == ["nothing", "the head", "baseline"]
    assert trials[0].parameters == {"kind": "none"}
    assert [t.stage.seed for t in trials] == [0, 0, 0, 7, 7, 7]
    assert trials[0].stage.values[0] == "here"


def test_two_axes_make_a_grid_whose_rows_are_named_by_both():
    grid = study(axes={"kind": Choice(("none", "head")), "size": Choice((1, 2))}, rows=())
    assert [row.name for row in grid.all_rows()] == [
        "kind=none,size=1",
        "kind=none,size=2",
        "kind=head,size=1",
        "kind=head,size=2",
    ]
    assert grid.trials("")[3].stage.values[2:5] == ("2", "False", "head")


def test_a_study_may_consist_of_rows_alone():
    rows = (Row(name="slow", title="slow", parameters={"rate": 1}), Row(name="fast", title="fast"))
    assert [t.stage.values[1] for t in study(axes={}, rows=rows).trials("")] == ["1.0", "None"]


def test_only_the_rows_asked_for_are_tried():
    assert [t.row.name for t in study().trials("", only=["base", "none"])] == ["none", "base"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rate", "0.5", 0.5),
        ("rate", "5", 5.0),
        ("rate", "1e-3", 0.001),
        ("rate", "none", None),
        ("rate", 5, 5.0),
        ("size", "4096", 4096),
        ("flag", "true", True),
        ("flag", "No", False),
        ("flag", "1", True),
        ("flag", True, True),
        ("kind", "none", "none"),
        ("splits", "1", 1),
    ],
)
def test_a_setting_becomes_what_its_annotation_says(name: str, text: object, value: object):
    found = coerced(name, text, vocabulary(recipe)[name])
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("rate", "fast", "rate=fast does not fit: rate takes a number or none."),
        ("rate", "nan", "rate=nan does not fit: rate takes a number or none."),
        ("rate", "inf", "rate takes a number"),
        ("rate", True, "rate takes a number"),
        ("size", "4.5", "size=4.5 does not fit: size takes a whole number."),
        ("size", True, "size takes a whole number"),
        ("size", "none", "size takes a whole number"),
        ("flag", "maybe", "flag takes true or false"),
        ("kind", "haed", "kind=haed does not fit: kind takes one of none, head, all."),
        ("splits", "3", "splits takes one of 1, 4"),
    ],
)
def test_a_setting_of_the_wrong_type_is_told_what_fits(name: str, text: object, says: str):
    with pytest.raises(InputError) as refused:
        coerced(name, text, vocabulary(recipe)[name])
    assert says in str(refused.value)


def test_a_setting_that_is_a_tuple_is_checked_not_crashed_on():
    assert coerced("sizes", (1, 2), tuple[int, ...]) == (1, 2)
    with pytest.raises(InputError, match="sizes takes tuple"):
        coerced("sizes", "1,2", tuple[int, ...])


def test_settings_reach_every_row_whose_recipe_knows_them():
    trials = study().trials("", settings={"size": "9", "rate": "0.5"})
    assert [t.stage.values[-4 if len(t.stage.values) > 2 else 1] for t in trials] == ["9", "9", "9"]
    assert trials[0].parameters == {"size": 9, "rate": 0.5, "kind": "none"}
    assert trials[2].parameters == {"size": 9}


@pytest.mark.parametrize("name", ["kind", "rate"])
def test_what_a_study_varies_cannot_be_fixed(name: str):
    rows = (Row(name="slow", title="slow", parameters={"rate": 1.0}),)
    with pytest.raises(InputError, match=f"{name} is what study example varies: choose its rows with --row"):
        study(rows=rows).trials("", settings={name: "head"})


@pytest.mark.parametrize("name", ["sise", "seed", "conditions"])
def test_an_unknown_hyperparameter_is_refused_with_the_valid_ones(name: str):
    with pytest.raises(InputError, match=f"recipe recipe has no hyperparameter '{name}'") as refused:
        study().trials("", settings={name: "1"})
    assert "Valid: rate, size, flag, kind, splits." in str(refused.value)
    assert ("did you mean 'size'?" in str(refused.value)) == (name == "sise")


def test_an_unknown_row_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"study example has no row 'haed'; did you mean 'head'\? Valid: none, head"):
        study().trials("", only=["haed"])


def test_two_rows_of_one_name_are_refused():
    rows = (Row(name="head", title="again"),)
    with pytest.raises(InputError, match="study example has two rows named 'head': give each its own name"):
        study(rows=rows).all_rows()


@pytest.mark.parametrize(
    ("axis", "says"),
    [(lambda: Choice(()), "at least one value"), (lambda: Choice((1, 2), ("one",)), "2 values needs as many titles")],
)
def test_an_axis_needs_values_and_a_title_for_each(axis: Callable[[], Choice], says: str):
    with pytest.raises(InputError, match=says):
        axis()


def test_suggestions_end_the_sentence():
    assert nearest("tabel3", ["table3", "methods"]) == "; did you mean 'table3'? Valid: table3, methods."
    assert nearest("TABLE3", ["table3", "methods"]) == "; did you mean 'table3'? Valid: table3, methods."
    assert nearest("x", ["table3"]) == ". Valid: table3."
    assert nearest("x", []) == ". Valid: none."


def test_rows_that_a_setting_does_not_touch_are_named():
    study = Study(
        name="mixed",
        title="Two recipes",
        question="Which of them takes what?",
        recipe=recipe,
        rows=(Row(name="own", title="own"), Row(name="plain", title="plain", recipe=baseline)),
    )
    trials = study.trials("here", seeds=(0, 1), settings={"rate": "0.5", "size": "4"})
    assert setting_notes(trials, ["rate", "size"]) == (
        "rate is no hyperparameter of plain: --set leaves them as they are.",
    )


def test_a_row_that_cannot_be_computed_is_named_where_others_can():
    def hungry(conditions: str, *, seed: int, size: int = 3) -> Point:
        raise InputError("batch_size is 256, but there are 200 frames: lower it, or add videos.")

    own = study(rows=(Row(name="swav", title="SwAV", recipe=hungry),))
    with pytest.raises(InputError, match=r"add videos\. This is row swav of study example: --row chooses others\.$"):
        own.trials("here")
    with pytest.raises(InputError, match=r"add videos\.$"):
        own.trials("here", only=("swav",))
    assert own.trials("here", only=("none", "head"))


def test_a_setting_that_does_not_fit_is_no_fault_of_its_row():
    with pytest.raises(InputError) as refused:
        study().trials("here", settings={"rate": "fast"})
    assert "--row" not in str(refused.value)
