"""The door of fit and evidence: data in any form, with labels and conditions, for a model."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32, Shaped

from tightbound.core.errors import UsageError
from tightbound.data import DataLike, Source, as_array, as_table, check_values
from tightbound.data.binarise import Binarisation, resolve
from tightbound.data.check import missing
from tightbound.data.precision import check_precision
from tightbound.models.bayesian import Bayesian
from tightbound.models.model import Model
from tightbound.models.shapes import item_shape
from tightbound.models.target import Target


def source(
    model: Model | Bayesian,
    x: DataLike,
    *,
    labels: DataLike | None = None,
    conditions: DataLike | None = None,
    binarize: str = "auto",
) -> Source:
    """Checks data for a model, once; whatever takes data of the model then takes the source.

    Labels and conditions are those of the rows, and stay with them through shuffling, batches,
    replicas and resuming. Objectives see labels (`items.label`) and no estimator of log p(x) does;
    conditions reach the model and the posterior, whose numbers are then of log p(x|c).

    Arrays are not copied: those that lie in a file (`numpy.memmap`) are read a batch at a time by
    all that judges a model, and by `tb.fit` once, whole.

    Args:
        model: p(x, z); any other with items of the same shape and support takes the source too.
        x: Data of shape (n, d), or n items of the model's shape; NaN where values are missing.
            Items of another shape with as many numbers are laid out anew, row by row: images of
            shape (n, 8, 8) become (n, 64) for a model of 64 columns.
        labels: n whole numbers from 0; -1, or NaN, where one is not known.
        conditions: Numbers of shape (n, c), for a model with `condition=c`; none may be missing.
        binarize: "auto" (dynamic where the likelihood is Bernoulli and the values are grey),
            "dynamic", "fixed", "fixed:SEED" or "none".

    Raises:
        UsageError: Data outside the likelihood's support (row and column are named), of another
            size than the model's, labels or conditions that are not one for each of them, labels
            that are no whole numbers, conditions that are not finite, or not those of the model.
    """
    if isinstance(x, Source):
        raise UsageError("expected data to make a source of, got one: pass it as it is")
    return as_source(model, x, "the data", binarize, labels=labels, conditions=conditions)


def as_source(
    model: Model | Bayesian,
    x: DataLike,
    what: str,
    binarize: str = "auto",
    *,
    labels: DataLike | None = None,
    conditions: DataLike | None = None,
    dtype: Any = np.float32,
) -> Source:
    """A source for the model: the one that is given, or one made of data in another form.

    Args:
        model: p(x, z).
        x: A source or data.
        what: What they are, for errors.
        binarize: As for `source`; a source that is given has its own.
        labels: As for `source`.
        conditions: As for `source`.
        dtype: The precision in which values must be told apart: float32 or float64.

    Raises:
        UsageError: As for `source`, or a source that was made for another kind of model.
    """
    if isinstance(x, Source):
        _check_made_for(x, model, what, binarize)
        return x
    if isinstance(model, Target):
        raise UsageError(f"a Target has no data: expected none, got {type(x).__name__}")
    if x is None:
        raise UsageError(f"{what}: expected data of shape (n, d) for the model, got none")
    found = as_array(x, what)
    check_precision(found.x, dtype, what, found.columns)
    shape, sequences = item_shape(model), model.prior.sees_data
    raw = _of_steps(found.x, shape, what) if sequences else found.x
    named = {"columns": found.columns, "sequences": sequences}
    check_values(raw, "real", what, holes=True, dtype=dtype, **named)
    values = _laid_out(raw, shape, what)
    support = model.likelihood.support
    return Source(
        values,
        support,
        resolve(binarize, support, values, what, dtype, **named),
        missing(values),
        None if labels is None else _labels(labels, len(values)),
        as_conditions(conditions, model, len(values)),
    )


def nothing(n: int) -> Source:
    """What stands for the data of a `Target`: n of them, without columns."""
    return Source(np.zeros((n, 0), np.float32), "real", Binarisation("none"))


def _check_made_for(x: Source, model: Model | Bayesian, what: str, binarize: str) -> None:
    """Refuses a source that was checked for something else.

    Raises:
        UsageError: What it was made for, and what came.
    """
    if binarize not in ("auto", *x.binarisation.names):
        raise UsageError(
            f"{what}: binarize={binarize!r} comes too late for a source, whose binarisation is "
            f"{x.binarisation.description}: pass it to tb.source"
        )
    ours = item_shape(model), model.likelihood.support, model.condition
    theirs = x.item_shape, x.support, 0 if x.conditions is None else x.conditions.shape[1]
    if ours != theirs:
        words = "items of shape {} that are {}, with {} numbers of a condition"
        raise UsageError(
            f"{what}: the source was made for {words.format(*theirs)}, and this model has "
            f"{words.format(*ours)}: make one by tb.source(model, x)"
        )


def _laid_out(
    x: Shaped[np.ndarray, "n *came"], shape: tuple[int, ...], what: str
) -> Shaped[np.ndarray, "n *item"]:
    """Items of the model's shape."""
    came = x.shape[1:]
    if math.prod(came) != math.prod(shape):
        if len(shape) == len(came) == 1:
            raise UsageError(
                f"{what}: expected {shape[0]} columns, as many as the model has, got {came[0]}"
            )
        raise UsageError(f"{what}: expected items of shape {shape} like the model's, got {came}")
    return x.reshape(len(x), *shape)


def _of_steps(
    x: Shaped[np.ndarray, "n *came"], shape: tuple[int, ...], what: str
) -> Shaped[np.ndarray, "n *item"]:
    """Sequences of no more steps than the model's, NaN behind their ends up to these.

    Raises:
        UsageError: Longer sequences, or steps of another number of columns.
    """
    came = x.shape[1:]
    if len(came) == 1 and came[0] == math.prod(shape):
        return x.reshape(len(x), *shape)
    if len(came) != 2 or came[1] != shape[1] or came[0] > shape[0]:
        raise UsageError(
            f"{what}: expected sequences of up to {shape[0]} steps of {shape[1]} columns, as an "
            f"array (n, steps, {shape[1]}), got items of shape {came}"
        )
    if came[0] == shape[0]:
        return x
    longer = np.full((len(x), *shape), np.nan, x.dtype if x.dtype.kind == "f" else np.float64)
    longer[:, : came[0]] = x
    return longer


def _labels(labels: DataLike, n: int) -> Int32[np.ndarray, " n"]:
    """Labels as integers, -1 where they are not known."""
    found = as_array(labels, "the labels").x
    if found.shape not in {(n,), (n, 1)}:
        raise UsageError(
            f"the labels: expected {n}, one for each datum, got an array of shape {found.shape}"
        )
    numbers = found.reshape(n)
    known = ~np.isnan(numbers)
    whole = np.where(known, numbers, -1)
    wrong = (whole != np.floor(whole)) | (whole < -1) | (whole >= 2**31)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UsageError(
            f"the labels: row {row} (counted from 0) is {numbers[row]!s}, expected a whole number "
            "from 0, or -1 where it is not known"
        )
    return whole.astype(np.int32)


def as_conditions(
    conditions: DataLike | None, model: Model | Bayesian, n: int | None
) -> Float32[np.ndarray, "n c"] | None:
    """Conditions of n data as the model takes them, or of however many there are.

    Raises:
        UsageError: None where the model takes some, some where it takes none, another shape, or a
            number that is missing or infinite.
    """
    if conditions is None:
        if model.condition:
            raise UsageError(
                f"the model is given a condition of {model.condition} numbers with each datum, and "
                "there are none: expected conditions=, as in tb.source(model, x, conditions=...) "
                "in place of an array x"
            )
        return None
    found = as_table(conditions, "the conditions")
    if not model.condition:
        raise UsageError(
            f"the conditions: the model takes none, got an array of shape {found.shape}: expected "
            f"Model(prior, likelihood, condition={found.shape[1]}), or "
            f"tb.autoencoder(..., condition={found.shape[1]})"
        )
    if found.shape != (len(found) if n is None else n, model.condition):
        raise UsageError(
            f"the conditions: expected shape ({'n' if n is None else n}, {model.condition}), a row "
            "for each datum and as many columns as the model's condition has numbers, got "
            f"{found.shape}"
        )
    return found
