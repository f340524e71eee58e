"""Checks on the host that data have as many columns as the model has visible variables."""

import equinox as eqx
import jax
import numpy as np

from tightbound.distributions import FromFunctions
from tightbound.errors import UsageError
from tightbound.models import Bayesian, Model


def check_width(model: Model | Bayesian, x: np.ndarray, what: str) -> None:
    """Refuses data of shape (n, d) of another width than the model's x.

    Raises:
        UsageError: Both widths are named.
    """
    width = _width(model)
    if x.shape[1] != width:
        raise UsageError(
            f"{what}: expected {width} columns, as many as the model has, got {x.shape[1]}"
        )


def _width(model: Model | Bayesian) -> int:
    likelihood = model.likelihood
    if isinstance(likelihood, FromFunctions):
        if likelihood.dim is not None:
            return likelihood.dim
        if likelihood.draw is None:
            raise UsageError(
                "expected a likelihood that says how many columns data have: pass dim= to "
                "tb.distributions.from_functions"
            )
    return eqx.filter_eval_shape(model.sample, jax.random.key(0))[0].shape[0]
