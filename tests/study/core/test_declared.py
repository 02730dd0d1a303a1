"""Studies whose parts are not what they should be."""

import math
from dataclasses import replace
from typing import Any

import pytest

from study import Choice, Curve, Published, Row, Study
from study.core.study import MOST_TRIALS
from trainers.data.synthetic.generic_images import GenericImages
from trainers.fields import Seed
from trainers.stage import InputError


def images(conditions: object, *, seed: Seed, num_images: int = 8, word: str = "a") -> GenericImages:
    return GenericImages(num_images=num_images, size_px=32, seed=seed)


STUDY = Study(name="s", title="?", question="?", recipe=images, rows=(Row(name="a", title="A"),))


def row(**changes: Any) -> dict[str, Any]:
    return {"rows": (Row(**{"name": "a", "title": "A", **changes}),)}


def published(numbers: Any, **changes: Any) -> dict[str, Any]:
    return {"published": Published(**{"source": "s", "rows": {"a": {"accuracy": numbers}}, **changes})}


def logarithm(*values: float) -> dict[str, Any]:
    return {"axes": {"num_images": Choice(values)}, "curve": Curve(axis="num_images", title="n", log=True)}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "a/b"}, "'a/b' cannot name a study: use letters"),
        ({"name": ""}, "'' cannot name a study: it is empty"),
        ({"name": "x" * 300}, "it has 300 characters, more than 100"),
        ({"name": "a\nb"}, r"it holds '\\n', no part of a line of text"),
        ({"name": ".a"}, "'.a' cannot name a study"),
        ({"title": 3}, r"3 cannot name study s \(its title\): it is no text"),
        (
            {"second_protocol": "strict"},
            "second_protocol of study s is 'strict': take relaxed_fixed or relaxed_official",
        ),
        ({"question": None}, "the question of study s is None: it must be text"),
        (row(name=3), "3 cannot name a row of study s: it is no text"),
        (row(name=" "), "cannot name a row of study s: it is empty"),
        (row(name=" a"), "' a' cannot name a row of study s: it begins or ends with a space"),
        (row(name="a/b"), "'a/b' cannot name a row of study s: a suite names its rows STUDY/ROW"),
        (row(name="a\nb"), "cannot name a row of study s: it holds"),
        (row(name="\udcff"), "cannot name a row of study s: it is not UTF-8"),
        (row(name="e\u0301"), "write it in Unicode's normal form C"),
        (row(title="two\nlines"), "its title"),
        (row(series=3), "the series of row 'a' is 3: it must be text"),
        (row(baseline="no"), "baseline of row 'a' is 'no': it must be True or False"),
        (row(parameters=[1]), "the parameters of row 'a' is .1.: it must be a dictionary"),
        (row(parameters={3: 1}), "a name among the parameters of row 'a' is 3"),
        ({"rows": {}}, "the rows of study s are no tuple"),
        ({"rows": (1,)}, "a row of study s is 1: it must be Row"),
        ({"axes": {"word": Choice(("a/b",))}}, "'a/b' cannot name a row of study s"),
        (published((math.nan, 1.0)), r"published: accuracy of row 'a' is \(nan, 1.0\): give"),
        (published((80.0, math.inf)), "two finite numbers in percent"),
        (published((80.0, -1.0)), "two finite numbers in percent"),
        (published(80.0), "give .mean, standard deviation."),
        (published((80.0, 1.0), swapped=("precision",)), "give two metrics, or leave it out"),
        ({"more_published": (*published((math.nan, 1.0)).values(),)}, r"more_published\[0\]: accuracy of row 'a'"),
        ({"fewest_seeds": 10**9}, "fewest_seeds of study s is 1000000000: take 1 to 1000"),
        ({"fewest_seeds": math.nan}, "fewest_seeds of study s is nan: it must be a whole number"),
        ({"cost": {"demo": 3}}, "the cost of study s at scale demo is 3: it must be text"),
        ({"curve": 3}, "curve of study s is 3: it must be Curve"),
        (logarithm(0, 8), "the curve of study s is logarithmic over 'num_images', which is 0"),
        (logarithm(-8, 8), "a logarithm needs values above 0"),
        ({"curve": Curve(axis="seed", title="seed", log=True)}, "logarithmic over 'seed', which is 0"),
    ],
)
def test_a_part_that_means_nothing_is_refused_with_its_name(changes: dict[str, Any], sentence: str):
    STUDY.all_rows()
    with pytest.raises(InputError, match=sentence):
        replace(STUDY, **changes).all_rows()


def test_a_grid_without_end_is_refused_before_it_is_spanned():
    axes = {"num_images": Choice(tuple(range(1, 2000))), "word": Choice(tuple(map(str, range(2000))))}
    with pytest.raises(InputError, match="the axes of study s span 3998000 rows, more than 10000"):
        replace(STUDY, axes=axes).all_rows()


def test_more_trials_than_can_be_planned_are_refused_before_the_first_is_made():
    with pytest.raises(InputError, match=f"1 rows of study s at 1000000000 seeds .* more than {MOST_TRIALS}"):
        STUDY.trials(conditions=None, seeds=range(10**9))


def test_names_of_other_languages_are_taken():
    rows = (Row(name="τ = 0,1 (größer)", title="温度"), Row(name="0.1,b=[1, 2]", title="b"))
    assert [each.name for each in replace(STUDY, rows=rows).all_rows()] == [each.name for each in rows]
