"""The keys of the stages of every study, kept: a refactor that changes one would have everything computed anew.

After a change that is meant to: `pytest tests/search_spaces/test_golden_keys.py --update-golden`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from search_spaces.studies.catalogue import STUDIES
from study.core.graph import configs, key, walk
from tests.search_spaces.fake_dataset import conditions
from trainers.stage import Config, Stage

GOLDEN = Path(__file__).parents[1] / "golden" / "keys.json"


OFFICIAL = "full, official_code"


@pytest.fixture(autouse=True)
def shipped_files() -> None:
    """Those that the package has, as the keys of users are made with them."""


def readable_keys(scale: str) -> dict[str, str]:
    """The key of every stage by the first row that needs it, table3 before others; of the videos, the first alone.

    Under preset official_code, table3 alone.
    """
    found: dict[str, str] = {}
    known: set[str] = set()
    here = conditions("full", "official_code") if scale == OFFICIAL else conditions(scale)
    studies = [STUDIES["table3"]] if scale == OFFICIAL else list(STUDIES.values())
    for study in sorted(studies, key=lambda each: each.name != "table3"):
        prefix = "" if study.name == "table3" else f"{study.name}/"
        for trial in study.trials(here):
            count = 0
            for stage_key, stage in walk(trial.stage).items():
                if stage_key in known or (stage.kind == "Video" and stage.title != "Video video01"):
                    continue
                known.add(stage_key)
                count += 1
                found[f"{prefix}{trial.row.name}.{count:02} {stage.kind}"] = stage_key
    return found


@pytest.mark.parametrize("scale", ["demo", "small", "full", OFFICIAL])
def test_keys_are_the_golden_ones(scale: str, request: pytest.FixtureRequest):
    golden: dict[str, Mapping[str, str]] = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    found = readable_keys(scale)
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(json.dumps({**golden, scale: found}, indent=1, sort_keys=True) + "\n")
        return
    changed = [name for name in found if golden[scale].get(name) != found[name]]
    assert not changed, "if this is meant: raise revisions, pytest --update-golden, and say so in the CHANGELOG"
    assert golden[scale].keys() == found.keys()


def stage_types() -> dict[str, Stage]:
    """One stage of every class, and one pre-training of every method, in the studies' plans under two presets."""
    trials = [trial for study in STUDIES.values() for trial in study.trials(conditions())]
    trials += STUDIES["table3"].trials(conditions(preset="official_code"))
    stages = walk(*(trial.stage for trial in trials)).values()
    return {**{type(stage).__name__: stage for stage in stages}, **{stage.kind: stage for stage in stages}}


STAGES = stage_types()


@pytest.mark.parametrize("name", STAGES)
def test_changing_any_one_value_of_a_stage_or_of_a_config_in_it_changes_its_key(name: str):
    stage = STAGES[name]
    changed = list(variants(stage))
    assert {path for path, _ in changed} == set(identity_fields(stage)), "every field was changed"
    keys = [key(stage), *(key(other) for _, other in changed)]  # type: ignore[arg-type]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", STAGES)
def test_a_new_revision_of_any_class_in_a_stage_changes_its_key(name: str, monkeypatch: pytest.MonkeyPatch):
    stage = STAGES[name]
    for cls in configs(stage):
        with monkeypatch.context() as patch:
            patch.setattr(cls, "revision", cls.revision + 1)
            assert key(replace(stage)) != key(stage), cls


def test_a_value_deep_below_reaches_the_last_key():
    before, after = (STUDIES["table3"].trials(conditions(num_videos=n))[0].stage for n in (10, 11))
    assert key(before) != key(after)


def identity_fields(config: Any, path: str = "") -> Iterator[str]:
    """Dotted paths of all fields that enter the key, down to the stages."""
    for field in fields(config):
        if field.compare:
            value = getattr(config, field.name)
            if is_plain_config(value):
                yield from identity_fields(value, f"{path}{field.name}.")
            else:
                yield path + field.name


def variants(config: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Copies of a config with one field of it, or of a config in it, changed; and that field's dotted path."""
    hints = get_type_hints(type(config))
    for field in fields(config):
        if not field.compare:
            continue
        value, here = getattr(config, field.name), path + field.name
        others = variants(value, f"{here}.") if is_plain_config(value) else others_than(value, hints[field.name], here)
        for changed, other in others:
            yield changed, having(config, field.name, other)


def having(config: Any, name: str, value: Any) -> Any:
    """A copy with another value, unchecked: many values are refused without another one that goes with them."""
    copy = object.__new__(type(config))
    for field in fields(config):
        object.__setattr__(copy, field.name, value if field.name == name else getattr(config, field.name))
    return copy


def others_than(value: Any, annotation: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Config):
        candidates = [next(variants(value))[1]]
    elif isinstance(value, tuple):
        candidates = [(other, *value[1:]) for _, other in others_than(value[0], Any, path)] if value else [(1,)]
    elif isinstance(value, str):
        candidates = literals(annotation) or [f"{value}x"]
    elif isinstance(value, bool):
        candidates = [not value]
    elif value is None:
        candidates = [0.125]
    else:
        candidates = [value + 1]
    yield from ((path, other) for other in candidates if other != value)


def literals(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [choice for member in get_args(annotation) for choice in literals(member)]


def is_plain_config(value: object) -> bool:
    return isinstance(value, Config) and not isinstance(value, Stage)
