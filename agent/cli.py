"""The command line: says what there is, hands over, and turns errors into one line and an exit status.

Exit status: 0 done, whatever the verdict; 1 `verify` found a difference; 2 what was asked cannot be done as
asked (one line says why); 3 machine, tracker or commits did not allow it; 130 interrupted.
Nothing slow is imported before a command runs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from agent import pods_cli
from agent.errors import TaskError

app = typer.Typer(
    name="paceline",
    help="Measures whether a change makes LLM fine-tuning faster, with numbers that hold.",
    epilog="Example: paceline bench sft --baseline main --optimized faster. "
    "Exit status: 0 done, whatever the verdict; 1 verify found a difference; 2 it cannot be done as asked; "
    "3 machine, tracker or commits did not allow it; 130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(pods_cli.app, name="pods")

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
    sweep: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE,VALUE", help="Arms for the values; several are multiplied out."),
    ] = None,
    sweep_on: Annotated[
        str, typer.Option(metavar="baseline|optimized", help="The commit that sweeps are made of.")
    ] = "optimized",
    replicates: Annotated[
        str, typer.Option(metavar="N|auto", help="Fresh processes of each arm; auto: until it is decided.")
    ] = "auto",
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="RECIPE:METRIC>=RATIO", help="A criterion, as in sft:job_tokens_per_s>=1.3."),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="lockstep|abba", help="Arms against each other, or one after the other.")
    ] = "lockstep",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure two commits, and more arms, on this machine."""
    from agent.bench_command import bench_here
    from agent.planning import Request, engine_named, replicates_named

    request = Request(
        recipes=recipes,
        baseline=baseline,
        optimized=optimized,
        arms=arm or (),
        sweeps=sweep or (),
        sweep_on=sweep_on,
        replicates=replicates_named(replicates),
        requires=require or (),
        engine=engine_named(engine),
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
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write it with charts too, as one page.")
    ] = None,
    charts: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write each chart too, as SVG and PNG.")
    ] = None,
) -> None:
    """Print the tables and the verdict of a job, from its raw runs."""
    from agent.bench_command import completed
    from agent.report import report_text
    from agent.result import json_text

    result = completed(folder)
    if html is not None or charts is not None:
        from agent.report_files import write_drawn

        for path in write_drawn(result, html, charts):
            typer.echo(f"paceline: {path}", err=True)
    typer.echo(json_text(result) if as_json else report_text(result), nl=False)


Repo = Annotated[Path, typer.Option(metavar="PATH", help="The git repository.")]
Recipes = Annotated[list[str], typer.Argument(metavar="RECIPE...", help="Recipes of paceline.toml.")]
Param = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="A parameter of the baseline, where not default."),
]
EngineName = Annotated[
    str, typer.Option("--engine", metavar="lockstep|abba", help="Arms against each other, or one by one.")
]


@app.command(epilog="Example: paceline noise sft --baseline main --replicates 6")
def noise(
    recipes: Recipes,
    baseline: Annotated[str, typer.Option(metavar="REV", help="The commit to measure.")] = "HEAD",
    repo: Repo = Path(),
    replicates: Annotated[int, typer.Option(metavar="N", help="Pairs of fresh processes.")] = 6,
    param: Param = None,
    engine: EngineName = "lockstep",
) -> None:
    """Measure a commit against itself: how noisy this machine is, for `bench`, `plan` and the agent."""
    from agent.noise_command import NoiseRequest, noise_here
    from agent.planning import engine_named

    request = NoiseRequest(
        recipes=recipes,
        baseline=baseline,
        params=param or (),
        replicates=replicates,
        engine=engine_named(engine),
    )
    raise typer.Exit(noise_here(request, repo))


@app.command(epilog="Example: paceline plan sft --effect 5% --price 2.49")
def plan(
    recipes: Recipes,
    effect: Annotated[str, typer.Option(metavar="PERCENT", help="The effect to be shown, as in 5%.")],
    power: Annotated[float, typer.Option(metavar="SHARE", help="The wanted chance to show it.")] = 0.9,
    price: Annotated[float | None, typer.Option(metavar="AMOUNT", help="Price of a GPU-hour.")] = None,
    repo: Repo = Path(),
    param: Param = None,
    engine: EngineName = "lockstep",
) -> None:
    """Say how many replicates an effect needs on this machine, how long they take and what they cost."""
    from agent.plan_command import PlanRequest, plan_here
    from agent.planning import engine_named

    request = PlanRequest(
        recipes=recipes,
        effect=effect,
        power=power,
        price=price,
        params=param or (),
        engine=engine_named(engine),
    )
    typer.echo(plan_here(request, repo), nl=False)


@app.command(epilog="Example: paceline attribute sft --baseline main --optimized faster --replicates 5")
def attribute(
    what: Annotated[
        list[str], typer.Argument(metavar="RECIPE...|FOLDER", help="Recipes, or the folder of such a job.")
    ],
    baseline: Annotated[
        str | None, typer.Option(metavar="REV", help="The commit before the first change.")
    ] = None,
    optimized: Annotated[str | None, typer.Option(metavar="REV", help="The commit with all changes.")] = None,
    repo: Repo = Path(),
    replicates: Annotated[int, typer.Option(metavar="N", help="Fresh processes of each arm.")] = 5,
    engine: EngineName = "lockstep",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure what each change of a range contributes; of a job folder, show it again."""
    from agent.attribute_command import Range, attribute_here, show_attribution
    from agent.planning import engine_named

    if baseline and optimized:
        asked = Range(what, baseline, optimized, replicates, engine_named(engine))
        raise typer.Exit(attribute_here(asked, repo, as_json=as_json))
    if baseline or optimized or len(what) != 1:
        raise TaskError("attribute takes recipes with --baseline and --optimized, or one job folder")
    show_attribution(Path(what[0]), as_json=as_json)


@app.command(
    epilog="Example: paceline bisect sft --good v1 --bad main --metric job_tokens_per_s --threshold 0.95"
)
def bisect(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe of paceline.toml.")],
    good: Annotated[str, typer.Option(metavar="REV", help="A commit from before it got worse.")],
    bad: Annotated[str, typer.Option(metavar="REV", help="A commit that is worse.")],
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="What got worse; else the recipe's primary metric.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(metavar="RATIO", help="Worse than this ratio to the good commit; else 5 % worse."),
    ] = None,
    repo: Repo = Path(),
    replicates: Annotated[int, typer.Option(metavar="N", help="At most so many a commit.")] = 20,
    engine: EngineName = "lockstep",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find the first commit that made a metric worse, with as many repeats as the noise asks for."""
    from agent.bisect_command import Bisection, bisect_here
    from agent.planning import engine_named

    asked = Bisection(recipe, good, bad, metric, threshold, replicates, engine_named(engine))
    raise typer.Exit(bisect_here(asked, repo, as_json=as_json))


@app.command(epilog="Example: paceline target ./target && cd target && paceline bench sft ...")
def target(path: Annotated[Path, typer.Argument(metavar="PATH", help="A new or empty folder.")]) -> None:
    """Write a small fine-tuning repository, with its commits, to try Paceline on."""
    from agent.target import write_target

    commits = write_target(path)
    typer.echo(f"{path}: baseline {commits.baseline[:12]}, optimized {commits.optimized[:12]}")


Config = Annotated[Path, typer.Option(metavar="FILE", help="The operator's file.")]
DEFAULT_CONFIG = Path("paceline-agent.toml")
Number = Annotated[int, typer.Argument(metavar="ISSUE", help="The issue's number.")]


@app.command(epilog="Example: paceline agent --config paceline-agent.toml --once")
def agent(
    config: Config = DEFAULT_CONFIG,
    once: Annotated[bool, typer.Option("--once", help="One look at everything, then end.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, do nothing.")] = False,
) -> None:
    """Poll tagged issues and measure what they claim, until told to stop."""
    from agent.agent_command import run_agent

    raise typer.Exit(run_agent(config, once=once or dry_run, is_dry=dry_run))


@app.command(epilog="Example: paceline status --json")
def status(
    config: Config = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show where every tagged issue stands."""
    from agent.agent_command import show_status

    show_status(config, as_json=as_json)


@app.command(epilog="Example: paceline watch 36")
def watch(issue: Number, config: Config = DEFAULT_CONFIG) -> None:
    """Follow one issue until it has its verdict or waits for somebody."""
    from agent.agent_command import watch_issue

    watch_issue(config, issue)


@app.command(epilog="Example: paceline logs 36 --run sft/1/optimized -f")
def logs(
    issue: Number,
    run: Annotated[
        str | None,
        typer.Option(metavar="RECIPE/REPLICATE/ARM", help="What one run prints; else the job itself."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job has ended.")] = False,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Show what the newest job of an issue prints, on whatever pod it runs."""
    from agent.agent_command import show_issue_logs

    show_issue_logs(config, issue, run, follow=follow)


@app.command(epilog="Example: paceline cancel 36")
def cancel(issue: Number, config: Config = DEFAULT_CONFIG) -> None:
    """Cancel an issue's measurement: its job ends, what was measured stays."""
    from agent.agent_command import cancel_issue

    cancel_issue(config, issue)


@app.command(epilog="Example: paceline init ./my-repository")
def init(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The git repository.")] = Path(),
) -> None:
    """Write a commented paceline.toml, the issue form and the signing key; overwrites nothing."""
    from agent.init_command import init_here

    for line in init_here(path):
        typer.echo(line)


@app.command(epilog="Example: paceline doctor --config paceline-agent.toml")
def doctor(config: Config = DEFAULT_CONFIG) -> None:
    """Check token, tracker, key, git, disk, Python and GPU; a line each, with what to do."""
    from agent.doctor import diagnoses

    found = []
    for one in diagnoses(config):
        typer.echo(one.line)
        found.append(one.is_well)
    raise typer.Exit(0 if all(found) else 3)


Named = Annotated[
    list[str] | None, typer.Option(metavar="OWNER/NAME=PATH", help="A git repository to serve.")
]


@app.command(epilog="Example: paceline hub --db tracker.db --port 8000 --repo acme/target=./target")
def hub(
    db: Annotated[Path, typer.Option(metavar="PATH", help="The tracker's file; made where it is missing.")],
    port: Annotated[int, typer.Option(metavar="N", help="0 takes a free one.")] = 0,
    repo: Named = None,
    private_repo: Named = None,
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="OWNER/NAME:LOGIN=ROLE", help="Give somebody a role, read to admin."),
    ] = None,
    token_file: Annotated[
        list[str] | None,
        typer.Option(metavar="LOGIN=FILE", help="A user's token: read from the file, or made there."),
    ] = None,
    listen: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Not only loopback.")] = None,
    public_url: Annotated[str | None, typer.Option(metavar="URL", help="How others reach it.")] = None,
) -> None:
    """Serve a tracker in a box that speaks GitHub's REST API; prints its address."""
    from agent.hub.__main__ import main as serve

    arguments = ["--db", str(db), "--port", str(port)]
    for name, texts in (
        ("--repo", repo),
        ("--private-repo", private_repo),
        ("--role", role),
        ("--token-file", token_file),
        ("--listen", [listen] if listen else None),
        ("--public-url", [public_url] if public_url else None),
    ):
        arguments += [part for text in texts or () for part in (name, text)]
    raise typer.Exit(serve(arguments))


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

        from agent.tracker import TrackerError

        if not isinstance(error, PodError | TrackerError):
            raise
        sys.exit(_told(error, 3))


def _told(error: Exception, status: int) -> int:
    print(f"paceline: {error}", file=sys.stderr)
    return status
