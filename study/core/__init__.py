"""Stages as a graph, studies over recipes, plans, and the artifact store."""
