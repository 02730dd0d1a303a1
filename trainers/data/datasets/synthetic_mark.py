"""Mark that the generator leaves in a folder of synthetic videos, by which a dataset of them is known."""

import json
from pathlib import Path

PARAMETERS_FILE = "synthetic.json"
"""Name of the file with the parameters of the videos beside it."""
FIRST_HOSPITAL = "first"
"""The hospital of folders whose mark names none: they were made before there was a second."""


def marked_hospital(root: Path) -> str | None:
    """The synthetic hospital whose operations a folder holds; None where there is no mark that can be read."""
    try:
        found = json.loads((root / PARAMETERS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    hospital = found.get("hospital", FIRST_HOSPITAL) if isinstance(found, dict) else None
    return hospital if isinstance(hospital, str) else None
