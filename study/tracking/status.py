"""Statuses of MLflow's runs."""

from study.analysis.results import NOT_COMPUTED
from trainers.stage import FreelunchError

FINISHED, FAILED, KILLED, RUNNING = "FINISHED", "FAILED", "KILLED", "RUNNING"
TERMINAL = (FINISHED, FAILED, KILLED)


def ending(is_scored: bool, problem: str, error: BaseException | None) -> tuple[str, str]:
    """A run's last status, and why it has no result.

    Args:
        is_scored: whether it has one.
        problem: why a stage of it failed; empty where none did.
        error: what ended the command.
    """
    if is_scored:
        return FINISHED, ""
    if problem and not problem.startswith(NOT_COMPUTED):
        return FAILED, problem
    if isinstance(error, FreelunchError):
        return KILLED, str(error)
    return KILLED, "interrupted; the same command goes on with it."
