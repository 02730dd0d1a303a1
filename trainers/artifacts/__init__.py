"""Files that stages leave in their artifacts, each format with its reader, its writer and its type."""
