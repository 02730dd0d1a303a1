"""The study platform: it asks for trials, computes each stage once, and reports; it knows nothing of what stages do."""
