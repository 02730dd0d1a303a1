"""What can be asked: recipes, presets, scales and the studies of the paper."""
