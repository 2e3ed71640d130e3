"""The command line: ``bench ls | validate | run | sample | score | compare | report | ...``.

Only Typer is imported here; every command imports what it needs when it runs, so that ``bench --help`` stays quick.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from bench import __version__
from bench.base.errors import BenchError

__all__ = ["app", "main"]

F = TypeVar("F", bound=Callable[..., Any])


class _NamesOptions:
    """The error that refuses an option lists those that there are."""

    def parse_args(self, context: Any, given: list[str]) -> list[str]:
        try:
            parsed: list[str] = super().parse_args(context, given)  # type: ignore[misc]
        except Exception as error:
            if hasattr(error, "possibilities"):  # Click's NoSuchOption
                options = (name for parameter in self.get_params(context) for name in parameter.opts)  # type: ignore[attr-defined]
                error.possibilities = [name for name in options if name.startswith("--")]
            raise
        return parsed


class _Command(_NamesOptions, TyperCommand):
    pass


class _Group(_NamesOptions, TyperGroup):
    pass


app = typer.Typer(
    name="bench",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def command(name: str | None = None) -> Callable[[F], F]:
    """Registers a command."""
    return app.command(name, cls=_Command)


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"bench {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Words & Pixels: the history of generative models as one reproducible benchmark."""


@command("ls")
def list_(
    systems: Annotated[
        bool, typer.Option("--systems", help="The systems instead: names for `system:` in params.yaml.")
    ] = False,
    datasets: Annotated[bool, typer.Option("--datasets", help="The data sets instead.")] = False,
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the generators: family, system, data set, role, and what is trained and evaluated."""
    from bench.commands.listing import run

    if systems and datasets:
        raise BenchError("--systems and --datasets: give one of them")
    run(Path.cwd(), "systems" if systems else "datasets" if datasets else "generators", family, as_json)


@command()
def validate(params: Annotated[Path, typer.Argument(help="The file to check.")] = Path("params.yaml")) -> None:
    """Check params.yaml to the last key, with the systems' own settings and the data set cards."""
    from bench.commands.listing import validate as check

    check(params)


@command("run")
def run_(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Stages to bring up to date, with what they need; all without any.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Stages side by side here; default cores / threads.")
    ] = None,
    on: Annotated[
        str, typer.Option(help="local, slurm, pbs, lsf, sge, htcondor, oar, moab; or a scheduler: tcp://host:8786.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, help="Jobs to ask a queueing system for.")
    ] = None,
    remote: Annotated[
        str | None,
        typer.Option(
            help="For workers in clones of their own, without a shared folder: the DVC remote that all reach."
        ),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of the live view.")] = False,
) -> None:
    """Run the stages that changed, side by side; `dvc repro` afterwards finds nothing to do. Exit status 1 if a stage
    failed."""
    from bench.commands.run import run

    raise typer.Exit(run(Path.cwd(), targets or [], jobs, on, workers, remote, plain))


@command()
def schema() -> None:
    """Write the JSON Schemas of params.yaml and of cards, docs/schema/, by which editors complete and underline."""
    from bench.pipeline.schemas import write_schemas

    for path in write_schemas(Path.cwd()):
        typer.echo(f"wrote {path}")


@command()
def sample(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="A generator, a unique beginning of its name, or NAME-VALUE for a swept setting (ngram-word-3)."
        ),
    ],
    prompt: Annotated[
        list[str] | None, typer.Option("--prompt", "-p", help="Caption, or beginning of a text; may be repeated.")
    ] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What the picture shall not show.")] = None,
    label: Annotated[
        list[int] | None, typer.Option("--label", "-l", help="Asked class of a picture; may be repeated.")
    ] = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Number of samples.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same sample.")] = 0,
    guidance: Annotated[float | None, typer.Option(help="Scale of classifier-free guidance.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Denoising steps.")] = None,
    chars: Annotated[int, typer.Option(min=1, help="Characters of a text.")] = 400,
    exemplar: Annotated[
        str | None, typer.Option(help="Texture or picture to start from: a file, or a name in the prepared data.")
    ] = None,
    size: Annotated[str, typer.Option(help="Height and width of a texture.")] = "96x96",
    window: Annotated[int | None, typer.Option(min=3, help="Side of the texture's search window, odd.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="Further setting of the system, KEY=VALUE; may be repeated."),
    ] = None,
    video: Annotated[
        Path | None, typer.Option(help="video-texture: the film to play on; any file that FFmpeg reads.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="video-texture: length of the film.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="video-texture: the best loop instead of endless play.")] = False,
    a: Annotated[list[Path] | None, typer.Option("--a", help="analogy: A is to A' ...; may be repeated.")] = None,
    a_prime: Annotated[list[Path] | None, typer.Option("--a-prime", help="analogy: A', one for each A.")] = None,
    b: Annotated[Path | None, typer.Option("--b", help="analogy: ... as B is to the answer.")] = None,
    content: Annotated[Path | None, typer.Option(help="style: the picture to draw again.")] = None,
    style: Annotated[Path | None, typer.Option(help="style: the picture in whose style.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write: .png, .mp4 or .gif for films, text else. Texts are printed without it."),
    ] = None,
    scale: Annotated[int, typer.Option(min=1, max=32, help="Whole-number enlargement of pictures.")] = 1,
) -> None:
    """Sample from a trained generator: a text, a picture, a texture, a codec's reconstructions; or, from files alone, a
    video texture, an image analogy, a picture in another's style."""
    from bench.commands.sampling import run, run_from_files

    sources = {key: context.get_parameter_source(key) for key in context.params}
    flags = [key for key, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    given: dict[str, Any] = {"video": video, "a": a, "a-prime": a_prime, "b": b, "content": content, "style": style}
    played = {"seconds": seconds, "loop": loop}
    common: dict[str, Any] = {"seed": seed, "size": size, "options": option or [], "out": out, "flags": flags}
    if run_from_files(Path.cwd(), name, given, played, **common):
        return
    settings = {"guidance": guidance, "steps": steps, "window": window}
    run(
        Path.cwd(),
        name,
        prompts=prompt or [],
        negative_prompt=negative_prompt,
        labels=label or [],
        n=n,
        chars=chars,
        exemplar=exemplar,
        settings={key: value for key, value in settings.items() if value is not None},
        scale=scale,
        **common,
    )


@command()
def graph(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if dvc.yaml is out of date.")] = False,
) -> None:
    """Write dvc.yaml, the graph of stages, from params.yaml and from what each system needs."""
    from bench.commands.stages import graph as write

    print("dvc.yaml is written" if write(Path.cwd(), check) else "dvc.yaml is up to date")


@command()
def compare(
    first: Annotated[str, typer.Argument(help="A generator, or NAME@SETTING, as in ngram-char@n=3,smoothing=katz.")],
    second: Annotated[str, typer.Argument(help="Another one, or another setting.")],
    metric: Annotated[str | None, typer.Option(help="Only this metric.")] = None,
    as_json: AsJson = False,
) -> None:
    """Two generators side by side: values, intervals, difference, and whether the data can tell them apart."""
    from bench.commands.comparing import run

    run(Path.cwd(), first, second, metric, as_json)


@command()
def score(
    samples: Annotated[
        Path, typer.Argument(help="Any program's: a folder or .npz of images, a .jsonl or folder of texts.")
    ],
    family: Annotated[str, typer.Option(help="Whose scorers: words, images, text_to_image ...")] = "images",
    data: Annotated[str | None, typer.Option(help="Prepared data set that they are measured against.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="Or another folder of images: distances alone, no data set needed.")
    ] = None,
    feature_net: Annotated[
        str | None, typer.Option(help="Trained encoder, or a file of Inception weights (.pth, .safetensors).")
    ] = None,
    use: Annotated[
        list[str] | None, typer.Option("--use", help="ROLE=NAME of another trained model; may be repeated.")
    ] = None,
    captions: Annotated[Path | None, typer.Option(help="JSON lines with the captions of the images.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="KEY=VALUE under `evaluate:`; may be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the samples are called; default: their file's name.")] = None,
    log: Annotated[bool, typer.Option("--log", help="Log to MLflow too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score samples of any program with the scorers, protocols, intervals and floors of this benchmark."""
    from bench.commands.score import run

    roles = [*(use or []), *([f"feature_net={feature_net}"] if feature_net else [])]
    run(Path.cwd(), samples, family, data, against, roles, captions, option or [], name or "", log, as_json)


@command()
def track(
    uri: Annotated[str | None, typer.Option(help="The store; default MLFLOW_TRACKING_URI, else mlflow.db.")] = None,
    quiet: Quiet = False,
) -> None:
    """Log every evaluated generator to MLflow that is not there yet."""
    from bench.config.load import load_params
    from bench.tracking.sync import sync

    params = load_params()
    done = sync(Path.cwd(), params.generators(), profile=params.profile, seed=params.seed, uri=uri, quiet=quiet)
    typer.echo(done.sentence())


@command()
def report(
    to: Annotated[
        Path | None, typer.Option(help="Write into this folder, whatever is missing, and leave reports/ as it is.")
    ] = None,
) -> None:
    """Write the leaderboard and the page from what is evaluated (the pipeline's last stage, by itself)."""
    from bench.commands.stages import run

    raise typer.Exit(run(Path.cwd(), "report", ["--to", str(to)] if to is not None else []))


@command()
def verify(
    cache: Annotated[bool, typer.Option("--cache", help="Check every object in DVC's cache too.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Recompute the hash of every output: DVC does not notice a flipped bit. Exit status 1 if anything is wrong."""
    from bench.commands.verify import run

    raise typer.Exit(run(Path.cwd(), cache, as_json, quiet))


@command()
def doctor(as_json: AsJson = False) -> None:
    """Check this machine: Python, packages, npm, disk, memory, processor, threads, GPU, the stores. Exit status 1 on an
    error."""
    from bench.commands.doctor import run

    raise typer.Exit(run(Path.cwd(), as_json))


@command()
def profile(
    name: Annotated[
        str | None, typer.Argument(help="smoke, cpu or gpu; without it the one in force is printed.")
    ] = None,
) -> None:
    """Choose the profile: the one word `profile:` of params.yaml."""
    from bench.config.load import load_params, set_profile

    if name is not None and set_profile(Path("params.yaml"), name):
        typer.echo(f"profile: {name}")
    else:
        typer.echo(f"profile: {load_params().profile}")


@command()
def where() -> None:
    """Say where the report is and how to open the MLflow UI."""
    from bench.commands.stages import where as text

    typer.echo(text(Path.cwd()))


@command("open")
def open_() -> None:
    """Open the report in a browser; where there is none, say where it is."""
    from bench.commands.views import open_report

    typer.echo(open_report(Path.cwd()))


@command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="On 127.0.0.1.")] = 5000) -> None:
    """Serve the MLflow UI until it is interrupted."""
    from bench.commands.views import ui as serve

    raise typer.Exit(serve(Path.cwd(), port))


def main(arguments: list[str] | None = None) -> None:
    """The console script. A :class:`BenchError` is one red message and exit status 1; a traceback is a defect."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or {"-h", "--help"} & set(given):
        app.rich_markup_mode = None  # plain help takes half the time
    try:
        app(args=arguments)
    except BenchError as error:
        typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
        typer.secho(str(error), fg=typer.colors.RED, err=True)
        sys.exit(1)
