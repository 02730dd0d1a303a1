"""The command line; here alone studies, recipes and trainers are combined."""

from study.cli import (
    catalogue_commands,
    cluster_commands,
    data_commands,
    export_commands,
    predict_commands,
    prediction_commands,
    search_commands,
    study_commands,
    watch_commands,
    weights_commands,
)
from study.cli.group import main

__all__ = [
    "catalogue_commands",
    "cluster_commands",
    "data_commands",
    "export_commands",
    "main",
    "predict_commands",
    "prediction_commands",
    "search_commands",
    "study_commands",
    "watch_commands",
    "weights_commands",
]
