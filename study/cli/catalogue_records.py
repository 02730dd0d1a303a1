"""Records of what the catalogue holds, for scripts: studies, suites and searches."""

from typing import Any

from study.core.study import Study
from study.core.suite import Suite
from study.search.space import Search


def study_record(study: Study) -> dict[str, Any]:
    """A study as JSON."""
    rows = [{"name": row.name, "title": row.title, "baseline": row.baseline} for row in study.all_rows()]
    published = study.published.source if study.published else None
    more = [each.source for each in study.more_published]
    identity = {"name": study.name, "title": study.title, "question": study.question}
    asked = {"rows": rows, "hyperparameters": list(study.settable())}
    return {**identity, **asked, "published": published, "more_published": more, "cost": dict(study.cost)}


def suite_record(suite: Suite) -> dict[str, Any]:
    """A suite as JSON."""
    identity = {"name": suite.name, "title": suite.title, "question": suite.question}
    return {**identity, "studies": [study.name for study in suite.studies], "cost": dict(suite.cost)}


def search_record(search: Search) -> dict[str, Any]:
    """A search as JSON."""
    identity = {"name": search.name, "title": search.title, "question": search.question}
    scores = {"objective": search.objective.title, "evaluated_in": search.evaluated_in}
    return {**identity, "space": search.described(), **scores}
