"""From video files to augmented frames."""
