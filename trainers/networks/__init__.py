"""Backbones, batch normalisation, supervised training, and costs."""
