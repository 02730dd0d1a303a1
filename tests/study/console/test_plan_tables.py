"""Sentences on a plan's tapes."""

from pathlib import Path

from study.console.plan_tables import plan_record, tape_lines
from study.core.store import Store
from tests.study.core.test_tapes import plan_of


def test_what_a_tape_saves_or_costs_is_said(tmp_path: Path):
    store = Store(tmp_path)
    several, one = plan_of(store, "features"), plan_of(store, "embeddings", weights=(1,), for_one=True)
    assert tape_lines(several) == [
        "1 tape of what frozen networks say, for 3 stages: about 65 s less, and 9.0 GB of disk until they are "
        "finished (--tape off: none)"
    ]
    assert "for 1 stage: about 10 s more, as recording takes longer, and 1.0 GB" in tape_lines(one)[0]
    assert tape_lines(plan_of(store, "off")) == []
    assert plan_record(several)["saved_by_tapes_seconds"] == 65
