"""Self-supervised methods: one method, one file."""
