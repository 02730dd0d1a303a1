"""Chaos run: a study, a search and ingest runs while processes are killed, the network is cut, the disk is full."""
