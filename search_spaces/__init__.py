"""Recipes, presets, scales, and the studies and searches of the paper."""
