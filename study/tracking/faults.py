"""Faults of an MLflow, in sentences."""

import textwrap

from trainers.stage import MachineError

KNOWN = {
    "refused": "connection refused",
    "timed out": "no answer in time",
    "timeout expired": "no answer in time",
    "resolve": "no such host",
    "translate host name": "no such host",
    "disk is full": "the disk is full",
}
LONGEST_REASON = 200


class MLflowError(MachineError):
    """An MLflow that cannot be used.

    Attributes:
        fault: the fault, without a full stop.
        advice: the remedy, without a full stop.
    """

    def __init__(self, fault: str, advice: str) -> None:
        super().__init__(f"{fault}: {advice}; --no-mlflow does without.")
        self.fault = fault
        self.advice = advice


def reason_of(error: Exception) -> str:
    """An error of MLflow or its database in a few words."""
    text = str(error)
    for sign, short in KNOWN.items():
        if sign in text:
            return short
    return textwrap.shorten(text.partition("\n")[0], LONGEST_REASON, placeholder=" …")
