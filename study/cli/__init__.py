"""The command line; here alone studies, recipes and trainers are combined."""

from study.cli import data_commands, search_commands, study_commands, watch_commands
from study.cli.group import main

__all__ = ["data_commands", "main", "search_commands", "study_commands", "watch_commands"]
