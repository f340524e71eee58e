"""The shapes of x and z that a model has, and data as items of such a shape."""

import math
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from tightbound.core.errors import UsageError
from tightbound.data import DataLike, as_values, check_values
from tightbound.distributions import FromFunctions
from tightbound.models.bayesian import Bayesian
from tightbound.models.model import Model
from tightbound.models.target import Target


def like_z(model: Model | Bayesian) -> Any:
    """The shapes of one z."""
    if "samples" in model.prior.offers:
        return eqx.filter_eval_shape(
            lambda key: model.prior.sample(None, key=key), jax.random.key(0)
        )
    return eqx.filter_eval_shape(lambda: model.prior.mean(None))


def as_items(
    values: DataLike, model: Model | Bayesian, what: str, *, dtype: Any = np.float32
) -> Float[np.ndarray, "n *item"]:
    """Takes data in any form as items of the model's shape; NaN where values are missing.

    Items of another shape that have as many numbers are laid out anew, row by row: images of shape
    (n, 8, 8) become (n, 64) for a model of 64 columns.

    Args:
        values: The data.
        model: p(x, z).
        what: What they are, for errors.
        dtype: float32 or float64.

    Raises:
        UsageError: No numbers, infinite ones, or items of another size: both are named.
    """
    found = as_values(values, what, dtype)
    check_values(found.x, "real", what, found.columns, holes=True)
    shape, came = item_shape(model), found.x.shape[1:]
    if math.prod(came) != math.prod(shape):
        if len(shape) == len(came) == 1:
            raise UsageError(
                f"{what}: expected {shape[0]} columns, as many as the model has, got {came[0]}"
            )
        raise UsageError(f"{what}: expected items of shape {shape} like the model's, got {came}")
    return found.x.reshape(len(found.x), *shape)


def width(model: Model | Bayesian) -> int:
    """The number of values of one item x; none of a `Target`.

    Raises:
        UsageError: As for `item_shape`.
    """
    return math.prod(item_shape(model))


def item_shape(model: Model | Bayesian) -> tuple[int, ...]:
    """The shape of one item x; (0,) for a `Target`.

    Raises:
        UsageError: The likelihood has neither draws nor a mean, whose shape would tell.
    """
    if isinstance(model, Target):
        return (0,)
    likelihood = model.likelihood
    if isinstance(likelihood, FromFunctions):
        if likelihood.dim is not None:
            return (likelihood.dim,)
        if likelihood.draw is None:
            raise UsageError(
                "expected a likelihood that says how many columns data have: pass dim= to "
                "tb.distributions.from_functions"
            )
    try:
        return eqx.filter_eval_shape(model.sample, jax.random.key(0))[0].shape
    except UsageError as error:
        # Draws that are there and go wrong say so themselves.
        not_there = isinstance(error.__cause__, NotImplementedError)
        if "samples" in likelihood.offers and not not_there:
            raise
    try:
        return eqx.filter_eval_shape(likelihood.mean, like_z(model)).shape
    except (NotImplementedError, UsageError) as error:
        raise UsageError(
            f"expected a likelihood whose draws or mean tell how many columns data have: define "
            f"sample(self, given, *, key) or mean(self, given) of {type(likelihood).__name__}"
        ) from error
