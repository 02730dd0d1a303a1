"""Options of `plan` that decide which machine it is made for; the command gets them as one argument."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click
from click.core import ParameterSource

from study.cli.options import MACHINE_OPTIONS, TAPE_OPTIONS, Command, Decorator, with_options
from study.cli.values import Line

if TYPE_CHECKING:
    from study.cli.resources import ComputeTarget
    from study.core.tapes import Tapes


class MachineValues(TypedDict):
    """Values of `machine_options`."""

    device: str | None
    address: str | None
    profile: Path | None
    workers: int | None
    gpus_per_worker: float | None
    tape: "Tapes"
    tape_disk: str | None


@dataclass(frozen=True, kw_only=True)
class AskedMachine:
    """The machine that a plan is asked for: a target, and a device of the table where it is not the one here."""

    target: "ComputeTarget"
    device: str | None


def machine_options(command: Command) -> Command:
    """Adds the options that decide which machine a plan is made for; the command gets them as `machine`."""
    options: tuple[Decorator, ...] = (
        click.option(
            "--device", type=Line(), metavar="NAME", help="Plan for this device, such as h100; else for this one."
        ),
        click.option(
            "--address",
            type=Line(),
            envvar="RAY_ADDRESS",
            help="Plan for this Ray cluster (also RAY_ADDRESS), which is joined to look at its nodes.",
        ),
        *MACHINE_OPTIONS,
        *TAPE_OPTIONS,
    )
    return with_options(command, options, "machine", MachineValues.__annotations__, _machine)


def _machine(values: MachineValues) -> AskedMachine:
    from study.cli.resources import ComputeTarget
    from trainers.stage import InputError

    address_is_typed = click.get_current_context().get_parameter_source("address") is ParameterSource.COMMANDLINE
    if values["device"] and values["address"] and address_is_typed:
        raise InputError(f"--device {values['device']} and --address {values['address']} name two machines: give one.")
    target = ComputeTarget(
        address=values["address"],
        profile=values["profile"],
        workers=values["workers"],
        gpus_per_worker=values["gpus_per_worker"],
        tape=values["tape"],
        tape_disk=values["tape_disk"],
    )
    return AskedMachine(target=target, device=values["device"])
