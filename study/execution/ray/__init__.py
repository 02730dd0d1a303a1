"""Computing a plan on a Ray cluster: connection, broker, stage tasks, and trials in Ray Tune."""
