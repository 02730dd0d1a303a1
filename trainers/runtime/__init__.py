"""Randomness, devices, processes and checkpoints: what every stage computes with."""
