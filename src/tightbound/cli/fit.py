"""`tightbound fit`: a model of data, its evaluation and its report."""

import dataclasses
import sys
import typing
from argparse import Namespace
from pathlib import Path
from typing import Any

from tightbound.cli.arguments import Parser, real, whole, yes_or_no
from tightbound.cli.folders import new_run
from tightbound.cli.output import show_run
from tightbound.core import names
from tightbound.core.errors import Interrupted, UsageError
from tightbound.core.locks import check_unused
from tightbound.recipes.candidates import ALL, CANDIDATES, candidates, left_open
from tightbound.recipes.settings import (
    OF_NO_MODEL,
    PRESETS,
    WHOLE,
    Config,
    preset,
    read_settings,
    read_toml,
)

WORDS = {
    "split": "Which split; see `datasets`.",
    "scale": "What a file's numbers are divided by; its type says it if left out.",
    "header": "Whether the first line of a text table names its columns: yes or no.",
    "real": "Columns of a table that hold any numbers, as a,b; guessed if left out.",
    "positive": "Columns of numbers above 0.",
    "count": "Columns of whole numbers from 0.",
    "category": "Columns of levels.",
    "ordinal": "Columns of levels in an order, as 'size=S<M<L,grade'.",
    "binary": "Columns of two levels.",
    "bounded": "Columns between limits, as 'rate=0..100,share'.",
    "drop": "Columns that are left out.",
    "label": "The column that is a label, which the model does not see.",
    "labels": "Training labels that m2 is shown, as many of each class; all if left out.",
    "schema": "A TOML file that says what all columns are, in place of the above.",
    "candidates": "Of a table: all (if nothing asks for one model), or gaussian,mixture,ppca,deep.",
    "objective": "A name, or a call such as 'jvi(k=8, order=1)': see `objectives`.",
    "k": "Draws per datum of iwae; 50 if left out.",
    "samples": "Draws per datum of elbo.",
    "gradient": "reparameterized, stl, dreg (if left out), single_sample, dreg@8 ...",
    "estimator": "SGVB estimator of elbo.",
    "latent": "Latent sizes, bottom layer first.",
    "hidden": "Hidden widths, as 200,200 (if left out) or 200,200;100,100; of images channels.",
    "layers": "Stochastic layers.",
    "network": "dense; conv or ladder (of maps) for images; deep_markov or vrnn for sequences.",
    "inference": "Of several layers: bottom_up, or top_down (for ladder, if left out).",
    "likelihood": f"One of {', '.join(names.likelihoods())}.",
    "activation": "Of the hidden units; tanh, of images' networks silu, if left out.",
    "posterior": "Family of q(z|x): normal, gamma ..., flow, implicit; of sequences st_r ...",
    "prior": "Family of p(z), or 'mixture(components=50)', 'vamp'; by the posterior if left out.",
    "missingness": "Of which values are missing: linear, \"self_masking(sign='low_missing')\" ...",
    "initial": "Draw all weights and biases from N(0, INITIAL^2), not Glorot's.",
    "weight_prior": "MAP: a prior N(0, WEIGHT_PRIOR^2) on all parameters.",
    "bayesian": "Full variational Bayes, with that prior on the model's parameters.",
    "epochs": "Passes over the data.",
    "batch_size": "Items per step; 100, or all where there are fewer, if left out.",
    "optimizer": "adam, muon, iwae_adam, adagrad ... (any of Optax), or 'adam(b1=0.5)'.",
    "learning_rate": "Highest rate; 0.02 for muon, 0.002 for adam if left out.",
    "schedule": "constant, cosine, linear or iwae.",
    "average": "Decay of a moving average of the parameters.",
    "early_stopping": "Epochs without a better validation bound.",
    "binarize": "auto, dynamic, fixed, fixed:SEED or none.",
    "seeds": "Replicas trained at once.",
    "key": "Seed of everything random.",
    "evaluate_k": "Evaluate by so many draws per datum alone, 0: not; as `evaluate` if left out.",
}
"""Help of each setting; their order is that of `--help`."""


def declare(parser: Parser) -> None:
    """What the command takes: the fields of `Config`, and where they come from."""
    parser.positional(
        "data",
        "A named set, a file (.npy .npz .csv .parquet .json), or a folder of images. "
        f"[default: {Config.data}]",
        optional=True,
    )
    hints = typing.get_type_hints(Config)
    for name, text in WORDS.items():
        default = getattr(Config, name)
        shown = text if default is None else f"{text} [default: {default}]"
        kind = whole(*WHOLE[name]) if name in WHOLE else None
        if kind is None and float in typing.get_args(hints[name]):
            kind = real
        if bool in typing.get_args(hints[name]):
            kind = yes_or_no
        parser.option(name, shown, kind)
    parser.option("name", "Folder under runs/; DATA-OBJECTIVE or DATA-table if left out.")
    parser.option("preset", f"Settings of an experiment: {', '.join(PRESETS)}.")
    parser.option("config", "A TOML file with the names of these options.")
    parser.flag("resume", "Go on with the run NAME.")


def run(given: Namespace) -> int:
    """Fits, evaluates and reports."""
    named = _named(given)
    settings = _settings(given, named)
    settings.check()
    directory = named or new_run(_usual_name(settings))
    if not given.resume:
        check_unused(directory)
    from tightbound.cli.compilation import kept_compilations

    try:
        with kept_compilations():
            from tightbound import runs
            from tightbound.report import write_report

            said = "" if given.json or settings.candidates is None else _what_is_done(settings)
            # Who waits is told before; elsewhere what is refused prints nothing but why.
            if said and sys.stdout.isatty():
                print(said, flush=True)
            runs.fit_run(settings, directory, resume=given.resume)
            if said and not sys.stdout.isatty():
                print(said)
            if settings.evaluate_k != 0:
                runs.evaluate_run(directory, k=settings.evaluate_k, key=settings.key)
            show_run(directory, write_report(directory), as_json=given.json)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {_how_to_go_on(directory)}") from None
    return 0


def _named(given: Namespace) -> Path | None:
    """The folder that --name says; one that is there to be resumed."""
    if given.name is None:
        if given.resume:
            raise UsageError("--resume needs --name: which folder under runs/ to go on with")
        return None
    folder = new_run(given.name)
    if given.resume and not folder.is_dir():
        raise UsageError(f"there is no run at {folder} to go on with: leave out --resume")
    return folder


def _settings(given: Namespace, named: Path | None) -> Config:
    """The settings out of preset, file and options, the later before the earlier."""
    flags = {
        field.name: getattr(given, field.name)
        for field in dataclasses.fields(Config)
        if getattr(given, field.name) is not None
    }
    base: dict[str, Any] = {} if given.preset is None else preset(given.preset)
    if given.config is not None:
        base = base | read_toml(Path(given.config))
    elif given.resume and named is not None:
        base = base | read_settings(named)
    found = base | flags
    if left_open(found, OF_NO_MODEL):
        found.setdefault("candidates", ALL)
    return Config(**found)


def _what_is_done(settings: Config) -> str:
    """One line on a fit that chooses, and how to ask for one model instead."""
    assert settings.candidates is not None
    tried = candidates(settings.candidates) or CANDIDATES
    return (
        "no setting asks for one model, so that candidates are compared on rows that they were not "
        f"fitted to: {', '.join(tried)}; --objective or --likelihood asks for one model, "
        "--candidates for some of these"
    )


def _usual_name(settings: Config) -> str:
    """DATA-OBJECTIVE, or DATA-table where the model is chosen."""
    own = "/" in settings.data or "." in settings.data
    stem = Path(settings.data).resolve().stem if own else settings.data
    if settings.candidates is not None:
        return f"{stem}-table"
    return f"{stem}-{settings.objective.partition('(')[0]}"


def _how_to_go_on(directory: Path) -> str:
    if not (directory / "config.toml").is_file():
        return "nothing was written"
    if (directory / "model.safetensors").is_file():
        return f"the fit is done: `tightbound evaluate {directory.name}` goes on"
    return f"`tightbound fit --resume --name {directory.name}` goes on"
