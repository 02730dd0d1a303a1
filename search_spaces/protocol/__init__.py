"""Presets, scales, and the conditions that a recipe is given."""
