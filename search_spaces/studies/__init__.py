"""The studies of the paper, and the published numbers."""
