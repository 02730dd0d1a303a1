"""Every named study."""

from collections.abc import Iterable

from search_spaces.teacher import table3
from study.spec import Study
from trainers.stage import InputError


def by_name(studies: Iterable[Study]) -> dict[str, Study]:
    """Studies by their names.

    Raises:
        InputError: two have one name.
    """
    found: dict[str, Study] = {}
    for study in studies:
        if study.name in found:
            raise InputError(f"two studies are named {study.name!r}: give each its own name.")
        found[study.name] = study
    return found


STUDIES = by_name((table3,))
