"""The command line: says what there is, hands over, and turns errors into one line and an exit status.

Exit status: 0 done, whatever the verdict; 1 `verify` found a difference; 2 what was asked cannot be done as
asked (one line says why); 3 the machine or the commits did not allow a measurement; 130 interrupted.
Nothing slow is imported before a command runs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.errors import TaskError

app = typer.Typer(
    name="paceline",
    help="Measures whether a change makes LLM fine-tuning faster, with numbers that hold.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A job folder that `paceline bench` made.")]


@app.command(
    epilog="Example: paceline bench sft dpo --repo . --baseline main --optimized faster "
    "--arm packing=faster,packing=true --require 'sft:job_tokens_per_s>=1.3'"
)
def bench(
    recipes: Annotated[list[str], typer.Argument(metavar="RECIPE...", help="Recipes of paceline.toml.")],
    baseline: Annotated[str, typer.Option(metavar="REV", help="The commit to compare with.")],
    optimized: Annotated[str, typer.Option(metavar="REV", help="The commit that should be faster.")],
    repo: Annotated[Path, typer.Option(metavar="PATH", help="The git repository.")] = Path(),
    arm: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=REV,key=value", help="A further arm: a commit and parameter values."),
    ] = None,
    replicates: Annotated[int, typer.Option(metavar="N", help="Fresh processes of each arm.")] = 3,
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="RECIPE:METRIC>=RATIO", help="A criterion, as in sft:job_tokens_per_s>=1.3."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure two commits, and more arms, on this machine."""
    from agent.bench_command import bench_here
    from agent.planning import Request

    request = Request(
        recipes=recipes,
        baseline=baseline,
        optimized=optimized,
        arms=arm or (),
        replicates=replicates,
        requires=require or (),
    )
    raise typer.Exit(bench_here(request, repo, as_json=as_json))


@app.command(epilog="Example: paceline verify .paceline/jobs/target-local-0123456789ab-a1")
def verify(folder: Folder) -> None:
    """Recompute everything from the raw runs; says `identical`, or what differs."""
    from agent.verify import differences

    found = differences(folder)
    for line in found:
        typer.echo(line)
    if not found:
        typer.echo("identical")
    raise typer.Exit(1 if found else 0)


@app.command(epilog="Example: paceline report .paceline/jobs/target-local-0123456789ab-a1")
def report(
    folder: Folder, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False
) -> None:
    """Print the tables and the verdict of a job, from its raw runs."""
    from agent.report import report_text
    from agent.result import json_text, result_of

    result = result_of(folder)
    typer.echo(json_text(result) if as_json else report_text(result), nl=False)


@app.command(epilog="Example: paceline target ./target && cd target && paceline bench sft ...")
def target(path: Annotated[Path, typer.Argument(metavar="PATH", help="A new or empty folder.")]) -> None:
    """Write a small fine-tuning repository, with its commits, to try Paceline on."""
    from agent.target import write_target

    commits = write_target(path)
    typer.echo(f"{path}: baseline {commits.baseline[:12]}, optimized {commits.optimized[:12]}")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"paceline {version_of('paceline')}")
        raise typer.Exit


def main() -> None:
    """Run the command line; errors that somebody can mend are one line on standard error."""
    try:
        app()
    except TaskError as error:
        sys.exit(_told(error, 2))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from pods.shell import PodError

        if not isinstance(error, PodError):
            raise
        sys.exit(_told(error, 3))


def _told(error: Exception, status: int) -> int:
    print(f"paceline: {error}", file=sys.stderr)
    return status
