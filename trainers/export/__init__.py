"""Networks of a trained trial as files that other software loads."""
