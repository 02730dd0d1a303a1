import random
from pathlib import Path

import pytest

from benchmarks.chaos import faults
from benchmarks.chaos.disk import SmallDisk
from benchmarks.chaos.faults import Deck, Strike, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(mark="none", random=random.Random(0), disk=SmallDisk(tmp_path, 1), commands=[])


def test_every_kind_of_fault_comes_before_any_comes_again(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(faults, "FAULTS", {kind: lambda world: Strike(what="it") for kind in "abc"})
    deck = Deck(random.Random(1), list("abc"))
    struck = [happened[0] for _ in range(6) if (happened := deck.strike(world))]
    assert sorted(struck[:3]) == sorted(struck[3:]) == list("abc")


def test_a_fault_without_a_victim_waits_for_one(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(faults, "FAULTS", {"a": lambda world: None, "b": lambda world: Strike(what="it")})
    deck = Deck(random.Random(1), list("ab"))
    assert [happened[0] for _ in range(3) if (happened := deck.strike(world))] == ["b", "b", "b"]
    monkeypatch.setattr(faults, "FAULTS", {"a": lambda world: Strike(what="it"), "b": lambda world: None})
    happened = deck.strike(world)
    assert happened is not None
    assert happened[0] == "a"


def test_nothing_is_struck_where_nothing_runs(world: World):
    assert Deck(random.Random(1), list(faults.FAULTS)).strike(world) is None


def test_one_seed_makes_the_same_order(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(faults, "FAULTS", {kind: lambda world: Strike(what="it") for kind in "abcdef"})
    orders = []
    for _ in range(2):
        deck = Deck(random.Random(7), list("abcdef"))
        orders.append([happened[0] for _ in range(12) if (happened := deck.strike(world))])
    assert orders[0] == orders[1]
