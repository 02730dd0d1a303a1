"""A callback of Ray Tune that writes down what it is told, a line of JSON each, into the file that RECORD names."""

import json
import os
from pathlib import Path
from typing import Any

from ray import tune  # noqa: TID251  (a callback as users write it)

RECORD = "FREELUNCH_TEST_RECORD"


class Recorder(tune.Callback):
    def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any) -> None:
        plain = {name: value for name, value in result.items() if isinstance(value, str | int | float | None)}
        config = {name: value for name, value in trial.config.items() if isinstance(value, str | int | float | None)}
        with Path(os.environ[RECORD]).open("a") as file:
            file.write(json.dumps({"config": config, "result": plain}) + "\n")
