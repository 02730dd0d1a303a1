"""Reports in HTML and Markdown."""
