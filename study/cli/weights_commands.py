"""Commands for public weights: weights list, show and add."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from study.cli.context import HomeContext
from study.cli.endings import interruptible, print_next
from study.cli.group import main
from study.cli.options import json_option
from study.cli.values import Line, Location

if TYPE_CHECKING:
    from trainers.pretrained.contents import Kind


@main.group(invoke_without_command=True)
@click.pass_context
def weights(click_context: click.Context) -> None:
    """Public weights that studies can start from, by the names they were added under.

    \b
    Examples:
        freelunch weights
        freelunch weights add moco_v2_800ep_pretrain.pth.tar --name moco-v2
        freelunch weights show moco-v2
        freelunch run table3 --dataset cholec80 --weights moco-v2
    """
    if click_context.invoked_subcommand is None:
        click_context.invoke(list_weights)


@weights.command("list")
@json_option
@click.pass_obj
def list_weights(context: HomeContext, as_json: bool = False) -> None:
    """The weights that were added, with network, kind, licence and file.

    \b
    Example:
        freelunch weights list
    """
    from study.cli.weights import FOLDER, weights_record
    from study.console.data_tables import weights_table
    from study.console.terminal import new_console
    from study.home.sharing import check_shared
    from trainers.pretrained.registry import recorded
    from trainers.runtime.registry import names

    check_shared(context.home, writing=False)
    folder = context.home / FOLDER
    records = [weights_record(recorded(folder, name)) for name in names(folder)]
    if as_json:
        click.echo(json.dumps(records))
    elif records:
        new_console().print(weights_table(records), highlight=False)
    else:
        click.echo(
            f"no public weights are known in {context.home}; scales demo and small start from the package's own."
        )
        print_next(f"{context.program} weights add FILE --name NAME")


@weights.command("show")
@click.argument("name", type=Line())
@json_option
@click.pass_obj
def show_weights(context: HomeContext, name: str, as_json: bool) -> None:
    """Show what is known of weights: network, prefix, digest, licence, and every tensor of the file that is left out.

    \b
    Example:
        freelunch weights show moco-v2
    """
    from study.cli.weights import FOLDER, registered_as, weights_record
    from study.console.data_tables import weights_page
    from study.console.terminal import new_console
    from trainers.pretrained.registry import recorded

    record = weights_record(recorded(context.home / FOLDER, registered_as(context.home, name) or name))
    if as_json:
        click.echo(json.dumps(record))
    else:
        new_console().print(weights_page(record), highlight=False)


@weights.command("add")
@click.argument("file", type=Location())
@click.option("--name", type=Line(), help="What to call them; downloaded ones have a name already.")
@click.option("--architecture", type=Line(), help="The network, such as timm:vit_small_patch16_224; ResNets are known.")
@click.option(
    "--kind",
    type=click.Choice(["self-supervised", "supervised"]),
    help="Where the file does not show how it was trained.",
)
@click.option("--prefix", type=Line(), help="The network to take, of several in the file, by the start of its names.")
@click.option("--licence", type=Line(), help="The licence of the weights, where the file does not say it.")
@click.option("--origin", type=Line(), help="What the weights are and whose, where the file does not say it.")
@click.pass_obj
def add_weights(
    context: HomeContext,
    file: Path,
    name: str | None,
    architecture: str | None,
    kind: "Kind | None",
    prefix: str | None,
    licence: str | None,
    origin: str | None,
) -> None:
    """Check a checkpoint, and give it a name.

    The file stays where it is; its network is found in any usual layout. FILE may be a name to download by:
    hf:ORGANISATION/REPOSITORY of the hub, or torchvision:MODEL. These files are kept in the home folder.
    Origin, licence and kind are taken from the file's metadata where no option says them.

    \b
    Examples:
        freelunch weights add moco_v2_800ep_pretrain.pth.tar --name moco-v2
        freelunch weights add dino.pth --name dino --prefix student
        freelunch weights add hf:timm/vit_small_patch14_dinov2.lvd142m
        freelunch weights add torchvision:resnet50
        freelunch weights add ours.pth --name ours --origin "DINO on our own endoscopies" --licence CC-BY-4.0
    """
    from study.cli import weights as public
    from trainers.pretrained.registry import Asked

    said = {"architecture": architecture, "kind": kind, "prefix": prefix, "licence": licence, "origin": origin}
    asked = Asked(architecture=architecture, kind=kind, prefix=prefix, licence=licence or "", origin=origin or "")
    options = "".join(f" --{option} {shlex.quote(value)}" for option, value in {"name": name, **said}.items() if value)
    with interruptible(f"{context.program} weights add {shlex.quote(str(file))}{options}"):
        added = public.add_weights(context.home, str(file), name, asked)
    click.echo(f"{added.name}: {added.architecture}, {added.title} (SHA-256 {added.digest[:8]}…)")
    for line in public.found_in(added):
        click.echo(line)
    study = "table3" if added.kind == "self-supervised" else "table1"  # no row of table3 starts from supervised ones
    print_next(f"{context.program} plan {study} --dataset cholec80 --weights {added.name}")
