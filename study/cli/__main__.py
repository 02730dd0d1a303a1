"""`python -m study.cli`: the command line without its installed script."""

from study.cli import main

main(prog_name="freelunch")
