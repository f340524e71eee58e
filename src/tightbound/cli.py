"""The command line. Heavy modules load inside the commands, so that `--help` is quick."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tightbound.config import Config, preset, read_settings, read_toml
from tightbound.errors import Interrupted, NonFiniteError, UsageError

app = typer.Typer(
    help="Fit deep latent-variable models and say honestly how good the fit is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RunFolder = Annotated[Path, typer.Argument(help="A run's folder, such as runs/digits-iwae.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one line of JSON last on standard output.")
]


def _setting(field: str, text: str) -> Any:
    """An option for a field of `Config`; left out it is None, and a config file may set it."""
    default = getattr(Config, field)
    return typer.Option(help=text, show_default=str(default) if default is not None else False)


@app.command()
def fit(
    data: Annotated[
        str | None,
        typer.Argument(
            help="A named set, a file (.npy .npz .csv .parquet), or a folder of images.",
            show_default=Config.data,
        ),
    ] = None,
    split: Annotated[str | None, _setting("split", "Which split; see `datasets`.")] = None,
    objective: Annotated[
        str | None,
        _setting("objective", "A name, or a call such as 'jvi(k=8, order=1)': see `objectives`."),
    ] = None,
    k: Annotated[int | None, _setting("k", "Draws per datum of iwae; 50 if left out.")] = None,
    samples: Annotated[int | None, _setting("samples", "Draws per datum of elbo.")] = None,
    gradient: Annotated[
        str | None,
        _setting("gradient", "reparameterized, stl, dreg (if left out), single_sample, dreg@8 ..."),
    ] = None,
    estimator: Annotated[str | None, _setting("estimator", "SGVB estimator of elbo.")] = None,
    latent: Annotated[str | None, _setting("latent", "Latent sizes, bottom layer first.")] = None,
    hidden: Annotated[
        str | None, _setting("hidden", "Hidden widths, as 200,200 or 200,200;100,100.")
    ] = None,
    layers: Annotated[int | None, _setting("layers", "Stochastic layers.")] = None,
    likelihood: Annotated[
        str | None, _setting("likelihood", "bernoulli, gaussian or gaussian_unit_mean.")
    ] = None,
    activation: Annotated[str | None, _setting("activation", "Of the hidden units.")] = None,
    posterior: Annotated[
        str | None,
        _setting("posterior", "Family of q(z|x): normal, gamma ..., semi_implicit, implicit."),
    ] = None,
    prior: Annotated[
        str | None, _setting("prior", "Family of p(z); goes by the posterior if left out.")
    ] = None,
    initial: Annotated[
        float | None,
        _setting("initial", "Draw all weights and biases from N(0, INITIAL^2), not Glorot's."),
    ] = None,
    weight_prior: Annotated[
        float | None,
        _setting("weight_prior", "MAP: a prior N(0, WEIGHT_PRIOR^2) on all parameters."),
    ] = None,
    bayesian: Annotated[
        float | None,
        _setting("bayesian", "Full variational Bayes, with that prior on the model's parameters."),
    ] = None,
    epochs: Annotated[int | None, _setting("epochs", "Passes over the data.")] = None,
    batch_size: Annotated[int | None, _setting("batch_size", "Items per step.")] = None,
    optimizer: Annotated[
        str | None, _setting("optimizer", "adam, muon, iwae_adam, adagrad ... (any of Optax).")
    ] = None,
    learning_rate: Annotated[
        float | None,
        _setting("learning_rate", "Highest rate; 0.02 for muon, 0.002 for adam if left out."),
    ] = None,
    schedule: Annotated[
        str | None, _setting("schedule", "constant, cosine, linear or iwae.")
    ] = None,
    average: Annotated[
        float | None, _setting("average", "Decay of a moving average of the parameters.")
    ] = None,
    early_stopping: Annotated[
        int | None, _setting("early_stopping", "Epochs without a better validation bound.")
    ] = None,
    binarize: Annotated[
        str | None, _setting("binarize", "auto, dynamic, fixed, fixed:SEED or none.")
    ] = None,
    seeds: Annotated[int | None, _setting("seeds", "Replicas trained at once.")] = None,
    key: Annotated[int | None, _setting("key", "Seed of everything random.")] = None,
    evaluate_k: Annotated[
        int | None, _setting("evaluate_k", "Draws per datum of the evaluation; 0 leaves it out.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Folder under runs/; DATA-OBJECTIVE if left out.")
    ] = None,
    preset_name: Annotated[
        str | None,
        typer.Option("--preset", help="Settings of an experiment: aevb, aevb_frey or iwae."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run NAME.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file with the names of these flags.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit a model, evaluate it on the test data, and write a report."""
    flags = locals()
    given = {
        field: flags[field] for field in Config.__dataclass_fields__ if flags[field] is not None
    }
    if resume and config is None:
        if name is None:
            raise UsageError("--resume needs --name: which folder under runs/ to go on with")
        written = read_settings(Path("runs") / name)
    else:
        written = {} if config is None else read_toml(config)
    base = {} if preset_name is None else preset(preset_name)
    settings = Config(**base | written | given)
    stem = Path(settings.data).stem if "/" in settings.data or "." in settings.data else None
    directory = Path("runs") / (
        name or f"{stem or settings.data}-{settings.objective.partition('(')[0]}"
    )

    from tightbound import runs
    from tightbound.report import write_report

    runs.fit_run(settings, directory, resume=resume)
    if settings.evaluate_k:
        runs.evaluate_run(directory, k=settings.evaluate_k, key=settings.key)
    page = write_report(directory)
    _show_run(directory, page, as_json=as_json)


@app.command()
def evaluate(
    run: RunFolder,
    k: Annotated[int, typer.Option(help="Draws per datum.")] = 5000,
    key: Annotated[int, typer.Option(help="Seed of draws and binarisation.")] = 0,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    temperatures: Annotated[
        int | None,
        typer.Option(help="Also by annealed importance sampling, with so many temperatures."),
    ] = None,
    chains: Annotated[int, typer.Option(help="Annealed chains per datum.")] = 16,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Evaluate anew what has been answered already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Estimate the log-likelihood per datum, with error bars and a verdict."""
    from tightbound import runs
    from tightbound.report import write_report

    answer = runs.evaluate_run(
        run,
        k=k,
        key=key,
        split=split,
        temperatures=temperatures,
        chains=chains,
        overwrite=overwrite,
    )
    if answer.known:
        print(f"{answer.path} has the answer already; --overwrite evaluates anew")
    _show_run(run, write_report(run), as_json=as_json, evaluation=answer.record)


@app.command()
def report(run: RunFolder, as_json: AsJson = False) -> None:
    """Write figures and report.html from a run's records."""
    from tightbound.report import write_report

    _show_run(run, write_report(run), as_json=as_json)


@app.command()
def sample(
    run: RunFolder,
    n: Annotated[int, typer.Option(help="How many.")] = 100,
    key: Annotated[int, typer.Option(help="Seed.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="A .npy file. [default: RUN/samples.npy]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw from the model: means of p(x|z) at draws of the prior."""
    from tightbound import runs

    if n < 1:
        raise UsageError(f"expected --n of 1 or more, got {n}")
    _, fitted = runs.open_run(run)
    path = out or run / "samples.npy"
    runs.write_npy(path, runs.sample_means(fitted, n, key))
    _say({"file": str(path), "n": n}, as_json=as_json)


@app.command()
def reconstruct(
    run: RunFolder,
    data: Annotated[str, typer.Argument(help="A named set (its test part) or a file.")],
    out: Annotated[
        Path | None, typer.Option(help="A .npy file. [default: RUN/reconstructions.npy]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pass data through the posterior's mean and the likelihood's mean."""
    from tightbound import runs

    path = out or run / "reconstructions.npy"
    error, n = runs.reconstruct_data(run, data, path)
    _say({"file": str(path), "n": n, "mean_squared_error": error}, as_json=as_json)


@app.command()
def datasets(as_json: AsJson = False) -> None:
    """List the named data sets, and where their files are."""
    from tightbound import data

    columns = ("name", "description", "splits", "likelihood", "where")
    rows = [{**entry._asdict(), "splits": ", ".join(entry.splits)} for entry in data.names()]
    _table(columns, rows, as_json=as_json)


@app.command()
def objectives(as_json: AsJson = False) -> None:
    """List the objectives: quantity, formula, what they need, direction, bias and source."""
    from tightbound.objectives.catalogue import all_objectives
    from tightbound.objectives.matrix import example

    needs = {name: objective.requires.words() for name, objective in example().items()}
    rows = [
        {
            "name": entry.name,
            "call": entry.call,
            "quantity": entry.summary,
            "formula": entry.formula,
            "needs": needs.get(entry.name, "what its objectives need"),
            "direction": entry.direction,
            "bias": entry.bias,
            "reference": entry.reference,
        }
        for entry in all_objectives().values()
    ]
    _blocks(rows, as_json=as_json)


def main() -> None:
    """Runs the command line; 0 done, 1 a failed run, 2 wrong use or bad input, 130 interrupted."""
    try:
        app()
    except UsageError as error:
        _fail(error, 2)
    except NonFiniteError as error:
        _fail(error, 1)
    except Interrupted as error:
        _fail(error, 130)
    except OSError as error:
        _fail(error, 2)
    except SystemExit as stop:
        if stop.code == 130:  # what Typer makes of a KeyboardInterrupt
            print("tightbound: interrupted; all files are whole or as they were", file=sys.stderr)
        raise


def _fail(error: Exception, status: int) -> None:
    print(f"tightbound: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(status)


def _show_run(
    directory: Path, page: Path, *, as_json: bool, evaluation: dict[str, Any] | None = None
) -> None:
    from tightbound.report import json_records, summary_lines

    print("\n".join(summary_lines(directory)))
    print(f"report: {page}")
    if as_json:
        asked = {} if evaluation is None else {"evaluation": evaluation}
        records = json_records(directory)
        print(json.dumps({"directory": str(directory), "report": str(page), **records, **asked}))


def _say(record: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(record))
    else:
        print(", ".join(f"{name}: {value}" for name, value in record.items()))


def _blocks(rows: list[dict[str, str]], *, as_json: bool) -> None:
    """One paragraph a row: its second entry as title, the others by name below it."""
    if as_json:
        print(json.dumps(rows))
        return
    from textwrap import fill

    for row in rows:
        _, (_, title), *others = row.items()
        print(f"\n{title}")
        for name, text in others:
            print(
                fill(
                    f"{name + ':':<11}{text}", 100, initial_indent="  ", subsequent_indent=" " * 13
                )
            )


def _table(columns: tuple[str, ...], rows: list[dict[str, str]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, show_lines=True)
    for row in rows:
        table.add_row(*(row[column] for column in columns))
    Console().print(table, markup=False)
