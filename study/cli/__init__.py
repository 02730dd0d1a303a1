"""The command line, and the one place where studies, recipes and trainers are put together."""

from study.cli.commands import main

__all__ = ["main"]
