"""The command line, and the one place where studies, recipes and trainers are put together."""

from study.cli import data_commands, search_commands, study_commands, watch_commands
from study.cli.group import main

__all__ = ["data_commands", "main", "search_commands", "study_commands", "watch_commands"]
