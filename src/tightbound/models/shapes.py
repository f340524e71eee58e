"""The shapes of x and z that a model has, and a check that data have as many columns."""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from tightbound.distributions import FromFunctions
from tightbound.errors import UsageError
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


def check_width(model: Model | Bayesian, x: np.ndarray, what: str) -> None:
    """Refuses data of shape (n, d) of another width than the model's x.

    Raises:
        UsageError: Both widths are named.
    """
    columns = width(model)
    if x.shape[1] != columns:
        raise UsageError(
            f"{what}: expected {columns} columns, as many as the model has, got {x.shape[1]}"
        )


def width(model: Model | Bayesian) -> int:
    """The number of columns of x; none of a `Target`.

    Raises:
        UsageError: The likelihood has neither draws nor a mean, whose shape would tell.
    """
    if isinstance(model, Target):
        return 0
    likelihood = model.likelihood
    if isinstance(likelihood, FromFunctions):
        if likelihood.dim is not None:
            return likelihood.dim
        if likelihood.draw is None:
            raise UsageError(
                "expected a likelihood that says how many columns data have: pass dim= to "
                "tb.distributions.from_functions"
            )
    try:
        return eqx.filter_eval_shape(model.sample, jax.random.key(0))[0].shape[0]
    except UsageError as error:
        # Draws that are there and go wrong say so themselves.
        not_there = isinstance(error.__cause__, NotImplementedError)
        if "samples" in likelihood.offers and not not_there:
            raise
    try:
        return eqx.filter_eval_shape(likelihood.mean, like_z(model)).shape[0]
    except (NotImplementedError, UsageError) as error:
        raise UsageError(
            f"expected a likelihood whose draws or mean tell how many columns data have: define "
            f"sample(self, given, *, key) or mean(self, given) of {type(likelihood).__name__}"
        ) from error
