"""Output of the commands: tables, progress lines, the live display."""
