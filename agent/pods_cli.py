"""`paceline pods ...`: the command line of the machines; hands over, imports nothing slow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Show the machines of pods.toml: what is free, who holds what, which would be chosen and why.",
    epilog="Example: paceline pods --json",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Inventory = Annotated[Path, typer.Option("--pods", metavar="FILE", help="The inventory.")]
DEFAULT = Path("pods.toml")
Name = Annotated[str, typer.Argument(metavar="POD", help="A pod of the inventory.")]


def _counted(value: float | None) -> float | None:
    """Refuses what is less than nothing, and what is no number."""
    if value is not None and not value >= 0:
        raise typer.BadParameter(f"{value:g} is not 0 or more")
    return value


@app.callback(invoke_without_command=True)
def pods(
    context: typer.Context,
    inventory: Inventory = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    context.obj = inventory
    if context.invoked_subcommand is None:
        from agent.pods_command import show_pods

        text, warnings = show_pods(inventory, as_json=as_json)
        for line in warnings:
            typer.echo(line, err=True)
        typer.echo(text)


@app.command(epilog="Example: paceline pods choose --gpu-type H100 --memory-gib 60 --explain")
def choose(
    context: typer.Context,
    gpu_type: Annotated[str | None, typer.Option(metavar="NAME", help="As in H100.")] = None,
    memory_gib: Annotated[
        float | None, typer.Option(metavar="GIB", help="Of one GPU.", callback=_counted)
    ] = None,
    disk_gib: Annotated[
        float | None, typer.Option(metavar="GIB", help="Free in the workspace.", callback=_counted)
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="That the pod must have.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why, of every pod.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say which slot of which pod a task would get now; exit status 3 where none would do."""
    from agent.pods_command import Wanted, choose

    wanted = Wanted(gpu_type, memory_gib, disk_gib, tuple(tag or ()))
    text, is_found = choose(context.obj, wanted, explain=explain, as_json=as_json)
    typer.echo(text)
    raise typer.Exit(0 if is_found else 3)


@app.command(epilog="Example: paceline pods trust alpha")
def trust(
    context: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Trust what is shown without being asked.")] = False,
) -> None:
    """Show the fingerprint of a pod's host key beside the one that is pinned, and pin it when told to."""
    from agent.pods_command import trust

    for line in trust(context.obj, name, _yes if yes else _asked):
        typer.echo(line)


def _yes(_question: str) -> str:
    return "yes"


def _asked(question: str) -> str:
    """No terminal and no input is a no."""
    try:
        return input(question)
    except EOFError:
        typer.echo("")
        return ""


@app.command(epilog="Example: paceline pods bootstrap alpha")
def bootstrap(context: typer.Context, name: Name) -> None:
    """Make a pod ready to be launched on; says what it changed, and changes nothing a second time."""
    from agent.pods_command import bootstrap

    for line in bootstrap(context.obj, name):
        typer.echo(line)


@app.command(epilog="Example: paceline pods leases alpha --release GPU-8f3a5c1e-...")
def leases(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="POD", help="Else all pods.")] = None,
    release: Annotated[
        str | None, typer.Option(metavar="SLOT", help="Give a lease back whose job is dead.")
    ] = None,
    lift: Annotated[str | None, typer.Option(metavar="SLOT", help="Take a slot out of quarantine.")] = None,
) -> None:
    """List who holds which slot, and what is in quarantine."""
    from agent.leases_command import leases

    for line in leases(context.obj, name, release, lift):
        typer.echo(line)


@app.command(epilog="Example: paceline pods gc alpha --yes")
def gc(
    name: Annotated[str | None, typer.Argument(metavar="POD", help="Else all pods.")] = None,
    days: Annotated[
        float,
        typer.Option(
            metavar="N", help="What nothing used for so long may go, as docs/pods.md says.", callback=_counted
        ),
    ] = 14.0,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; else it is only said.")] = False,
    config: Annotated[Path, typer.Option(metavar="FILE", help="The operator's file.")] = Path(
        "paceline-agent.toml"
    ),
) -> None:
    """Say what may go from a workspace: jobs whose verdict stands on the issue, environments long unused."""
    from agent.agent_command import gc_pods

    gc_pods(config, name, days=days, is_meant=yes)
