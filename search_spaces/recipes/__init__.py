"""Recipes: functions from hyperparameters to the last stage of a trial."""
