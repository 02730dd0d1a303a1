"""Phase recognition: fine-tuning, features, temporal model, baselines."""
