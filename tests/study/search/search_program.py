"""A search to kill: one trial after the other, in this process.

python -m tests.study.search.search_program HOME DIARY TRIALS EPOCH_SECONDS
"""

import sys
from pathlib import Path

from tests.study.search.stub_search import Conditions, searched

if __name__ == "__main__":
    home, diary, num_trials, epoch_seconds = sys.argv[1:]
    searched(Path(home), int(num_trials), Conditions(diary=Path(diary), epoch_seconds=float(epoch_seconds)))
