"""Studies in MLflow."""
