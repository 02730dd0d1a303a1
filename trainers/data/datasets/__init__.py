"""Dataset layouts, splits and label fractions."""
