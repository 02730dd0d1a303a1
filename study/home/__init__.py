"""Home folder: files and locks, saved requests, running processes, interrupts, commands and quantities in words."""
