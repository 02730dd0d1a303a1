"""Commands for clusters: resources."""

import click

from study.cli.group import main


@main.command()
def resources() -> None:
    """Print what may be used of this machine, as options of `ray start`.

    Ray would lend all of it, whatever a container, a batch system or `taskset` has granted.

    \b
    Examples:
        freelunch resources
        ray start --head --port 6379 $(freelunch resources)
    """
    from trainers.runtime.machine import this_machine

    machine = this_machine()
    options = {"--num-cpus": machine.cpus, "--num-gpus": machine.gpus, "--memory": machine.memory_bytes}
    click.echo(" ".join(f"{name} {value}" for name, value in options.items()))
