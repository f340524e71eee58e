"""The one training loop: replicas, progress, checkpoints, resuming, and what it returns."""

import contextlib
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
import optax
from jaxtyping import PRNGKeyArray

from tightbound.core.errors import NonFiniteError, UsageError, at_least
from tightbound.core.locks import Folder
from tightbound.core.progress import Progress
from tightbound.core.streams import as_key
from tightbound.data import DataLike, Source
from tightbound.distributions import AbstractConditional
from tightbound.models import Bayesian, Model, Target
from tightbound.models.source import as_source, nothing
from tightbound.models.standardization import standardization
from tightbound.objectives import AbstractObjective, Params
from tightbound.objectives.compatibility import check_shared
from tightbound.objectives.holes import check_data
from tightbound.objectives.registry import parse
from tightbound.training.epoch import EpochSettings
from tightbound.training.history import EpochRecord, History
from tightbound.training.loop import Build, Loop
from tightbound.training.optimizers import by_name
from tightbound.training.sizes import check_sizes, check_spread, items_per_step
from tightbound.training.state import State
from tightbound.training.store import Store, fingerprint

ADAM = "adam(learning_rate=1e-3)"
STEPS_TOLD = 100
"""Steps of a `Target` between two lines of the history."""


class Run(NamedTuple):
    """A fitted model. The first replica is `model` and `posterior`: no replica is selected."""

    model: Any
    posterior: Any
    history: History
    replicas: list[Params]
    objective: str
    binarisation: str
    epochs_run: int
    seconds_checkpoints: float
    objective_states: tuple[Any, ...] = ()
    """What the objective kept between steps, for each replica; after `tb.load` the networks of an
    implicit objective alone."""


def fit(
    model: Model | Bayesian,
    posterior: AbstractConditional | None,
    train: DataLike | None = None,
    *,
    objective: AbstractObjective | str,
    optimizer: optax.GradientTransformation | str | None = None,
    batch_size: int | None = None,
    epochs: int = 50,
    steps: int | None = None,
    seeds: int = 1,
    build: Build | None = None,
    key: int | PRNGKeyArray = 0,
    validation: DataLike | None = None,
    binarize: str = "auto",
    early_stopping: int | None = None,
    average: float | None = None,
    directory: Path | str | Folder | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> Run:
    """Fits a model and its posterior by stochastic gradients of an objective.

    Args:
        model: p(x, z), as from `tb.autoencoder`.
        posterior: q(z|x); None for an objective that needs none, such as
            `tb.objectives.exact()`.
        train: Data of shape (n, d), or items of the model's shape, or a source of them with labels
            and conditions (`tb.source`); none for a `Target`. All of them are on the device in
            single precision for the whole run, 4 bytes a value: larger data are for evaluations.
            Values may be missing (NaN): the objective is then that of the others, log p(x_observed)
            in place of log p(x), and networks see zeros in their place.
        objective: Such as `tb.objectives.iwae(k=50, gradient="dreg")`, or a name or call as text,
            "iwae(k=50, gradient='dreg')", as on the command line.
        optimizer: Any Optax optimiser, or a name or call as text, "adam(learning_rate=1e-3)";
            Adam with rate 1e-3 if left out.
        batch_size: Items per step; 100 if left out, or all where there are fewer. Each epoch is
            `n // batch_size` steps of a new permutation.
        epochs: Passes over the data.
        steps: For a `Target`, in place of `epochs`: steps in all, each of them with `batch_size`
            draws; an "epoch" of the history is then a hundred steps or so.
        seeds: Replicas trained at once. Replica 0 starts from the given weights; the dense
            weights of the others are drawn afresh, and order and noise differ.
        build: How further replicas start, for models with networks of your own: from a key to
            `(model, posterior)`, such as
            `lambda key: tb.autoencoder(x, decoder=MyDecoder(key), key=key)`.
        key: Seed or key of order, binarisation and noise.
        validation: Data (or a source) whose bound is reported after each epoch, with the same draws
            each time.
        binarize: "auto" (dynamic where the likelihood is Bernoulli and the values are grey),
            "dynamic", "fixed", "fixed:SEED" or "none"; a source has its own.
        early_stopping: Stop when no replica's validation bound has risen for that many epochs,
            and return each replica's parameters at its best epoch.
        average: Decay of an exponential moving average of the parameters, which is then what is
            validated and returned; 0.999, for example.
        directory: Where checkpoints and metrics are kept; none are written without it. No other
            process may use it at the same time.
        resume: Go on from the checkpoint in `directory`, to the same numbers as one whole run;
            `epochs` may be more than before. An optimiser's rate leaves no trace that could be
            compared: pass the same one.
        progress: Show a progress bar on standard error; by default if that is a terminal.

    Returns:
        The run: model, posterior, history, all replicas.

    Raises:
        UsageError: Data outside the likelihood's support (row and column are named), a column with
            one value alone under a Gaussian likelihood that is learned, sizes that do not fit, a
            directory in use, a checkpoint of another run, a damaged file, or a disk that cannot
            be written to.
        NonFiniteError: A number was not finite; the last good checkpoint stays in place.
    """
    params = Params(model, posterior)
    objective = parse(objective) if isinstance(objective, str) else objective
    objective.check(params)
    check_shared(objective, params)
    data, batch_size, epochs = _data(model, train, binarize, batch_size, epochs, steps)
    judged = None
    if validation is not None:
        judged = as_source(model, validation, "the validation data", binarize)
    check_sizes(
        data,
        judged,
        batch_size=batch_size,
        epochs=epochs,
        seeds=seeds,
        early_stopping=early_stopping,
        average=average,
    )
    if optimizer is None or isinstance(optimizer, str):
        optimizer = by_name(optimizer or ADAM, batch_size=batch_size)
    if standardization(model) is not None and objective.requires.learns:
        check_spread(data)
    check_data(params, objective, data, judged)
    settings = EpochSettings(
        batch_size,
        data.binarisation,
        data.binarisation if judged is None else judged.binarisation,
        average,
        early_stopping,
        0 if data.labels is None else int(np.sum(data.labels >= 0)),
    )
    root = as_key(key)
    _, static = eqx.partition(params, eqx.is_inexact_array)
    loop = Loop(static, objective, optimizer, settings, root, seeds, data, judged)
    if resume and directory is None:
        raise UsageError("expected a directory to resume from, got directory=None")
    with contextlib.ExitStack() as stack:
        store = None
        state, history = loop.start(params, build), History()
        if directory is not None:
            # A folder that the caller holds is the caller's to let go.
            mine = not isinstance(directory, Folder)
            folder = stack.enter_context(Folder(directory)) if mine else directory
            identity = fingerprint(params, objective, settings, root, seeds, data, judged)
            store = Store(folder, identity)
            state, history = store.resume(state, epochs) if resume else store.claim(state)
            stack.callback(store.metrics.close)
        bar = stack.enter_context(Progress("fitting", epochs, done=len(history), shown=progress))
        state = _run_epochs(loop, state, history, epochs, store, bar)
    kept = state.params if state.average is None else state.average
    kept = kept if state.best is None else state.best
    of_replica = lambda tree, i: jax.tree.map(lambda leaf: leaf[i], tree)  # noqa: E731
    replicas = [eqx.combine(of_replica(kept, i), static) for i in range(seeds)]
    return Run(
        replicas[0].model,
        replicas[0].posterior,
        history,
        replicas,
        objective.description,
        data.binarisation.description,
        len(history),
        0.0 if store is None else store.seconds,
        tuple(of_replica(state.objective, i) for i in range(seeds)),
    )


def _data(
    model: Model | Bayesian,
    train: DataLike | None,
    binarize: str,
    batch_size: int | None,
    epochs: int,
    steps: int | None,
) -> tuple[Source, int, int]:
    """Data, items per step and epochs; a `Target` has data without columns, one for each draw."""
    if not isinstance(model, Target):
        if train is None:
            raise UsageError("expected training data of shape (n, d) for the model, got none")
        if steps is not None:
            raise UsageError("steps= is for a Target, which has no data: pass epochs= instead")
        data = as_source(model, train, "the training data", binarize)
        return data, items_per_step(batch_size, len(data)), epochs
    if train is not None:
        raise UsageError(f"a Target has no data: expected none, got {type(train).__name__}")
    if steps is None:
        raise UsageError("expected steps=, the number of steps in all, for a Target")
    draws = items_per_step(batch_size)
    at_least(1, steps=steps, batch_size=draws)
    epochs = max(1, round(steps / STEPS_TOLD))
    return nothing(draws * -(-steps // epochs)), draws, epochs


def _run_epochs(
    loop: Loop,
    state: State,
    history: History,
    epochs: int,
    store: Store | None,
    bar: Progress,
) -> State:
    patience = loop.settings.patience
    warned = False
    for epoch in range(len(history), epochs):
        if patience is not None and bool(np.all(np.asarray(state.since_best) >= patience)):
            break
        began = time.perf_counter()
        state, metrics = loop.epoch(state, epoch)
        fault = loop.non_finite(state, metrics)
        if fault is not None:
            kept = "" if store is None else _kept(store)
            raise NonFiniteError(
                f"{fault}{kept}; try a smaller learning rate, or look at these items"
            )
        validated = metrics.validation_bound
        record = EpochRecord(
            epoch + 1,
            int(state.step[0]),
            [float(bound) for bound in metrics.train_bound],
            None if validated is None else [float(bound) for bound in validated],
            time.perf_counter() - began,
            None if metrics.info is None else {k: v.tolist() for k, v in metrics.info.items()},
        )
        warned = warned or _warn(loop.objective, record)
        history.append(record)
        if store is not None:
            store.metrics.append(record)
            store.save(state, epoch + 1, last=epoch + 1 == epochs)
        shown = record.validation_bound or record.train_bound
        bar.advance(f"bound {np.mean(shown):.2f} nats")
    if store is not None and patience is not None:
        store.save(state, len(history), last=True)
    return state


def _warn(objective: AbstractObjective, record: EpochRecord) -> bool:
    """Says what the objective has to say about an epoch's numbers, if anything."""
    for replica in range(len(record.train_bound)):
        info = {name: values[replica] for name, values in (record.info or {}).items()}
        text = objective.warning(info)
        if text is not None:
            warnings.warn(f"epoch {record.epoch}: {text}", stacklevel=4)
            return True
    return False


def _kept(store: Store) -> str:
    if not store.path.exists():
        return "; no checkpoint had been written yet"
    return f"; the last good checkpoint, {store.path}, is kept"
