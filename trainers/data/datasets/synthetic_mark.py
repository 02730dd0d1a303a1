"""Mark that the generator leaves in a folder of synthetic videos, by which a dataset of them is known."""

import json
from pathlib import Path

PARAMETERS_FILE = "synthetic.json"
"""Name of the file with the parameters of the videos beside it."""
MADE = ".cholec80"
"""Hidden folder of the videos as they were made; those of other layouts are links to them, or images cut from them."""
FIRST_HOSPITAL = "first"
"""The hospital of folders whose mark names none: they were made before there was a second."""


def marked_hospital(root: Path) -> str | None:
    """The synthetic hospital whose operations a folder holds; None where there is no mark that can be read."""
    return _marked(root / PARAMETERS_FILE) or _marked(root / MADE / PARAMETERS_FILE)


def _marked(file: Path) -> str | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    hospital = found.get("hospital", FIRST_HOSPITAL) if isinstance(found, dict) else None
    return hospital if isinstance(hospital, str) else None
