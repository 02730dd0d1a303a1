"""Surgical-like videos and generic images, drawn procedurally."""
