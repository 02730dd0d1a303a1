"""What commands print: tables, progress lines, the live display."""
