"""Stages of distilled self-supervision on surgical video, and how each is computed."""
