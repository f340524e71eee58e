"""What a fitted model makes of a table: rows drawn beside real ones, and hidden cells foretold.

Each known cell of test rows is hidden once, in one of five rounds, with a fifth of its row, and
foretold by `tb.impute` from the rest.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from tightbound import data
from tightbound.core.compilation import jit
from tightbound.core.digests.arrays import write_arrays
from tightbound.core.errors import UsageError
from tightbound.core.streams import as_key, first_keys, stream
from tightbound.data.schema import Column
from tightbound.models import plug_in, without_mask
from tightbound.tasks import Imputed, impute
from tightbound.tasks.marginals import has_mask, of_values_alone
from tightbound.training import Run

TABLE = "table.safetensors"
ROWS, ENTRIES = 1000, 200_000
"""Most rows that are kept of real and of drawn ones, and most numbers in them."""
HIDDEN_ROWS = 300
"""Most test rows of which cells are hidden."""
ROUNDS = 5
DRAWS = 100
LEVEL = 0.95
LEAST_PROBABILITY = 1e-6
"""What a level's probability counts as, at least, in the log-score."""


def write_table_record(directory: Path, run: Run, ds: data.Dataset, key: int, weights: str) -> None:
    """Real and drawn rows of the first replica, and how well hidden cells of test rows are met.

    What a model does not offer, such as what is missing given what is there, is left out and said.
    """
    schema = ds.schema
    assert schema is not None
    rows = max(1, min(ROWS, ENTRIES // ds.test.shape[1]))
    real = ds.test[:rows]
    arrays: dict[str, np.ndarray] = {"real": real}
    metadata: dict[str, Any] = {"weights": weights, "n_test": len(ds.test)}
    try:
        arrays["sampled"] = drawn_rows(run, rows, key)
    except UsageError as error:
        metadata["no_draws"] = str(error)
    try:
        metadata["imputation"] = _imputation(run, ds, key)
    except UsageError as error:
        metadata["no_imputation"] = str(error)
    write_arrays(directory / TABLE, "table", arrays, metadata)


def drawn_rows(run: Run, n: int, key: int) -> Float[np.ndarray, "n d"]:
    """Draws of p(x), in the data's units; levels by their numbers.

    Raises:
        UsageError: The model has no draws.
    """
    model = plug_in(run.model)
    if has_mask(model):
        model = without_mask(model)
    keys = first_keys(stream(as_key(key), "table.rows"), n)
    return np.asarray(jit(jax.vmap(lambda key: model.sample(key)[0]))(keys))


def _imputation(run: Run, ds: data.Dataset, key: int) -> dict[str, Any]:
    """How well each column is foretold from the others, in test rows.

    Raises:
        UsageError: A model that does not say what is missing given what is there.
    """
    assert ds.schema is not None
    of_values_alone(plug_in(run.model), "foretelling cells of test rows")
    x = ds.test[:HIDDEN_ROWS]
    foretold = _foretold(run, x, key)
    columns = [
        {"place": place, **_of_column(column, place, ds.train[:, place], foretold)}
        for place, column in enumerate(ds.schema.columns)
    ]
    return {"rows": len(x), "rounds": ROUNDS, "level": LEVEL, "columns": columns}


class _Foretold(NamedTuple):
    """Each known cell once, from a round in which it was hidden."""

    truth: Float[np.ndarray, "n d"]
    """NaN where the cell is not known."""
    mean: Float[np.ndarray, "n d"]
    low: Float[np.ndarray, "n d"]
    high: Float[np.ndarray, "n d"]
    probs: dict[int, Float[np.ndarray, "n levels"]]


def _foretold(run: Run, x: Float[np.ndarray, "n d"], key: int) -> _Foretold:
    n, d = x.shape
    rounds = _rounds(n, d, key)
    model = plug_in(run.model)
    found = [np.full(x.shape, np.nan) for _ in range(3)]
    probs: dict[int, Float[np.ndarray, "n levels"]] = {}
    for number in range(ROUNDS):
        hidden: Bool[np.ndarray, "n d"] = (rounds == number) & ~np.isnan(x)
        shown = np.where(hidden, np.float32(np.nan), x)
        imputed: Imputed = impute(
            model, run.posterior, shown, draws=DRAWS, level=LEVEL, key=key, progress=False
        )
        for kept, new in zip(found, (imputed.x, imputed.low, imputed.high), strict=True):
            kept[hidden] = new[hidden]
        for place, each in imputed.predictive.level_probs.items():
            at = hidden[:, place]
            probs.setdefault(place, np.full(each.shape, np.nan))[at] = each[at]
    mean, low, high = found
    return _Foretold(x, mean, low, high, probs)


def _rounds(n: int, d: int, key: int) -> Int[np.ndarray, "n d"]:
    """The round in which each cell is hidden: as even as can be in each row."""
    each = np.tile(np.arange(d) % ROUNDS, (n, 1))
    rounds = stream(as_key(key), "table.rounds")
    return np.asarray(jax.random.permutation(rounds, each, axis=1, independent=True))


def _of_column(
    column: Column, place: int, train: Float[np.ndarray, " m"], foretold: _Foretold
) -> dict[str, Any]:
    """The numbers of one column; those of levels where the model gives their probabilities."""
    truth = foretold.truth[:, place].astype(np.float64)
    some = ~np.isnan(truth)
    known = train[~np.isnan(train)].astype(np.float64)
    if not some.any() or not len(known):
        return {"cells": 0}
    truth, cells = truth[some], int(some.sum())
    if place in foretold.probs:
        return {"cells": cells, **_of_levels(foretold.probs[place][some], truth, known)}
    low, high = foretold.low[some, place], foretold.high[some, place]
    found = {
        "rmse": _root_mean_square(foretold.mean[some, place] - truth),
        "rmse_of_mean": _root_mean_square(known.mean() - truth),
        "coverage": float(np.mean((low <= truth) & (truth <= high))),
    }
    return {"cells": cells, **found}


def _of_levels(
    probs: Float[np.ndarray, "c levels"],
    truth: Float[np.ndarray, " c"],
    train: Float[np.ndarray, " m"],
) -> dict[str, float]:
    """Accuracy and mean log-probability in nats, beside those of the training frequencies."""
    level = truth.astype(int)
    counts = np.bincount(train.astype(int), minlength=probs.shape[1]).astype(np.float64)
    frequencies = (counts + 1) / (counts + 1).sum()
    met = probs[np.arange(len(level)), level]
    return {
        "accuracy": float(np.mean(probs.argmax(axis=1) == level)),
        "accuracy_of_mode": float(np.mean(counts.argmax() == level)),
        "log_score": float(np.mean(np.log(np.maximum(met, LEAST_PROBABILITY)))),
        "log_score_of_frequencies": float(np.mean(np.log(frequencies[level]))),
    }


def _root_mean_square(away: Float[np.ndarray, " c"]) -> float:
    return math.sqrt(float(np.mean(away**2)))
