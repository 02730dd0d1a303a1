import subprocess
import sys
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.core.graph import configs, describe, inputs, key, source_hash, walk
from trainers.fields import added
from trainers.stage import Config, InputError, Stage, Work


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True, kw_only=True)
class Made(Stage):
    def run(self, work: Work) -> None: ...

    def expected_seconds(self) -> float:
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Clip(Made):
    name: str
    path: Path = field(default=Path("/here"), compare=False)


@dataclass(frozen=True, kw_only=True)
class Schedule(Config):
    epochs: int = 3
    rate: float = 0.1
    kind: Literal["cosine", "step"] = "cosine"
    steps: tuple[int, ...] = (1, 2)
    decay: float | None = None


@dataclass(frozen=True, kw_only=True)
class Teaching(Config):
    teacher: Stage | None = None
    colour: Colour = Colour.RED


@dataclass(frozen=True, kw_only=True)
class Training(Made):
    videos: tuple[Clip, ...] = ()
    method: Teaching = Teaching()
    schedule: Schedule = Schedule()
    anything: Any = None
    flag: bool = False


CLIPS = tuple(Clip(name=f"video{number:02}") for number in range(12))
DEEP = Training(videos=CLIPS, method=Teaching(teacher=Training(videos=CLIPS[:3])))


def test_an_added_field_enters_the_key_only_where_its_value_is_not_the_default() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Crop(Made):
        side: int = 8

    before = key(Crop())

    @dataclass(frozen=True, kw_only=True)
    class Cropped(Made):
        side: int = 8
        turned: Literal[0, 90] = added(0)
        schedule: Schedule | None = added(None)

    Cropped.__name__ = "Crop"
    assert key(Cropped()) == key(Cropped(turned=0, schedule=None)) == before
    assert len({before, key(Cropped(turned=90)), key(Cropped(schedule=Schedule()))}) == 3


def test_a_key_is_32_hexadecimal_digits():
    assert len(key(DEEP)) == 32
    int(key(DEEP), 16)


def test_where_a_file_lies_is_not_part_of_a_key():
    assert key(Clip(name="a", path=Path("/here"))) == key(Clip(name="a", path=Path("/there")))


OWN_FILE = """
from dataclasses import dataclass
from study.core.graph import key
from trainers.stage import Stage
@dataclass(frozen=True)
class Mine(Stage):
    source: str = "a field may have any name"
    names: tuple[str, ...] = ("a", "b")
    rate: float = 5
    def run(self, work): ...
    def expected_seconds(self): return 1.0
"""


def key_of_own_file(folder: Path, text: str, hash_seed: str = "0") -> str:
    """The key of `Mine`, computed in a process of its own."""
    (folder / "mine.py").write_text(text)
    environment = {"PYTHONPATH": f"{folder}:{Path.cwd()}", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", "import mine; print(mine.key(mine.Mine()))"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_key_is_the_same_in_another_process_with_other_hashes(tmp_path: Path):
    assert key_of_own_file(tmp_path, OWN_FILE, "1") == key_of_own_file(tmp_path, OWN_FILE, "2")


def test_the_source_of_a_users_own_file_is_in_the_key(tmp_path: Path):
    assert key_of_own_file(tmp_path, OWN_FILE) != key_of_own_file(tmp_path, OWN_FILE + "# changed")


def test_the_order_in_which_fields_are_defined_or_given_does_not_matter():
    def defined(*names: str) -> type[Stage]:
        annotations = dict.fromkeys(names, int)
        body = {"__annotations__": annotations, "__module__": "search_spaces.example", **dict.fromkeys(names, 0)}
        return dataclass(frozen=True, kw_only=True)(type("Example", (Made,), body))

    assert key(defined("a", "b")(a=1, b=2)) != key(defined("a", "b")(a=2, b=1))
    here, there = describe(defined("a", "b")(a=1, b=2)), describe(defined("b", "a")(b=2, a=1))
    assert here == there


@pytest.mark.parametrize(
    "other",
    [
        replace(DEEP, videos=CLIPS[:-1]),
        replace(DEEP, videos=CLIPS[::-1]),
        replace(DEEP, method=Teaching()),
        replace(DEEP, method=replace(DEEP.method, colour=Colour.BLUE)),
        replace(DEEP, method=Teaching(teacher=Training(videos=CLIPS[:4]))),
        replace(DEEP, schedule=Schedule(epochs=4)),
        replace(DEEP, schedule=Schedule(rate=0.2)),
        replace(DEEP, schedule=Schedule(kind="step")),
        replace(DEEP, schedule=Schedule(steps=(1, 3))),
        replace(DEEP, schedule=Schedule(decay=0.0)),
        replace(DEEP, flag=True),
        replace(DEEP, anything="x"),
    ],
)
def test_any_other_value_is_another_key(other: Training):
    assert key(other) != key(DEEP)


@pytest.mark.parametrize("cls", [Training, Schedule, Teaching, Clip])
def test_a_new_revision_of_a_stage_a_config_in_it_or_an_input_is_another_key(
    cls: type[Config], monkeypatch: pytest.MonkeyPatch
):
    before = key(DEEP)
    monkeypatch.setattr(cls, "revision", 2)
    assert key(Training(videos=fresh(CLIPS), method=fresh_method())) != before


def fresh(clips: tuple[Clip, ...]) -> tuple[Clip, ...]:
    return tuple(Clip(name=clip.name) for clip in clips)


def fresh_method() -> Teaching:
    return Teaching(teacher=Training(videos=fresh(CLIPS[:3])))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Schedule(rate=5), Schedule(rate=5.0)),
        (Schedule(epochs=5), Schedule(epochs=5.0)),  # type: ignore[arg-type]
        (Schedule(decay=1), Schedule(decay=1.0)),
        (Schedule(rate=0.0), Schedule(rate=-0.0)),
        (Schedule(steps=(1, 2)), Schedule(steps=(1.0, 2.0))),  # type: ignore[arg-type]
    ],
)
def test_numbers_are_what_their_annotation_means(one: Schedule, other: Schedule):
    assert describe(one) == describe(other)
    assert repr(describe(one)) == repr(describe(other))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (float("nan"), "finite number"),
        (float("inf"), "finite number"),
        (-float("inf"), "finite number"),
        ([1, 2], "cannot be part of a key"),
        (Path("/x"), "cannot be part of a key"),
        ({"a": 1}, "cannot be part of a key"),
        ((1, [2]), "cannot be part of a key"),
        (object(), "cannot be part of a key"),
    ],
)
def test_what_has_no_canonical_form_is_refused_by_name(value: object, says: str):
    with pytest.raises(InputError, match=says) as refused:
        key(Training(anything=value))
    assert "Training.anything" in str(refused.value)


def test_a_config_that_is_no_frozen_dataclass_is_refused():
    class Loose(Schedule):
        extra: int = 3

    @dataclass
    class Mutable(Config):
        extra: int = 3

    for config in (Loose(), Mutable()):
        with pytest.raises(InputError, match="must be a frozen dataclass"):
            key(Training(anything=config))


def test_the_source_of_our_own_files_is_not_in_the_key():
    from trainers.networks.backbones import Backbone

    assert "class source" not in describe(Backbone())
    assert describe(Schedule())["class source"] == [source_hash(Schedule)]


values = st.one_of(st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3), st.none())
schedules = st.builds(
    Schedule,
    epochs=st.integers(0, 3),
    rate=st.floats(0, 1) | st.integers(0, 1),
    kind=st.sampled_from(["cosine", "step"]),
    steps=st.lists(st.integers(0, 2), max_size=2).map(tuple),
    decay=st.none() | st.floats(0, 1) | st.integers(0, 1),
)
trainings = st.builds(
    Training,
    videos=st.lists(st.sampled_from(CLIPS), max_size=3).map(tuple),
    method=st.builds(Teaching, teacher=st.none() | st.sampled_from(CLIPS), colour=st.sampled_from(Colour)),
    schedule=schedules,
    anything=values,
)


@given(trainings, trainings)
def test_stages_are_equal_exactly_if_their_keys_are(one: Training, other: Training):
    if type(one.anything) is type(other.anything):
        assert (one == other) == (key(one) == key(other))


@given(trainings)
def test_a_copy_has_the_same_key(stage: Training):
    assert key(replace(stage)) == key(stage)


def test_inputs_are_named_by_dotted_paths_in_order():
    found = inputs(DEEP)
    assert list(found) == [*(f"videos.{number}" for number in range(12)), "method.teacher"]
    assert found["videos.3"] == CLIPS[3]
    assert found["method.teacher"] == DEEP.method.teacher


def test_an_inputs_inputs_are_not_a_stages_own():
    assert all(not path.startswith("method.teacher.") for path in inputs(DEEP))


def test_walking_visits_inputs_first_and_each_stage_once():
    stages = walk(DEEP, Training(videos=fresh(CLIPS)))
    assert len(stages) == len(CLIPS) + 3
    seen: set[str] = set()
    for stage_key, stage in stages.items():
        assert {key(needed) for needed in inputs(stage).values()} <= seen
        seen.add(stage_key)


def test_a_diamond_of_stages_is_walked_once():
    base = Training(videos=CLIPS[:1])
    sides = [Training(method=Teaching(teacher=base), flag=flag) for flag in (True, False)]
    top = Training(method=Teaching(teacher=sides[0]), anything=Teaching(teacher=sides[1]))
    assert [type(stage) for stage in walk(top).values()] == [Clip, Training, Training, Training, Training]


def test_the_classes_that_decide_a_stage_are_its_own_and_those_of_its_configs():
    assert configs(DEEP) == {Training, Teaching, Schedule}
