"""The home folder: files, locks, requests, processes at work, and how commands and quantities are written."""
