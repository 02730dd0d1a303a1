"""Tracking of studies in MLflow: journals on disk, and the thread that sends them."""
