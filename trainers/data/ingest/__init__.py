"""From a video file to stored frames."""
