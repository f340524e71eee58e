"""The shapes of x, z and the condition that a model has, and what a fit may start from."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.core.errors import UsageError
from tightbound.core.items import having
from tightbound.distributions import FromFunctions
from tightbound.models.bayesian import Bayesian
from tightbound.models.model import Model
from tightbound.models.target import Target


def like_z(model: Model | Bayesian) -> Any:
    """The shapes of one z."""
    beside = like_condition(model)
    if "samples" in model.prior.offers:
        return eqx.filter_eval_shape(
            lambda key: model.prior.sample(beside, key=key), jax.random.key(0)
        )
    return eqx.filter_eval_shape(lambda: model.prior.mean(beside))


def size_of_z(model: Model | Bayesian) -> int:
    """How many numbers one z has."""
    return sum(leaf.size for leaf in jax.tree.leaves(like_z(model)))


def like_condition(model: Model | Bayesian) -> Float[Array, " c"] | None:
    """A condition as the model is given it, of zeros; None if it has none."""
    return jnp.zeros(model.condition) if model.condition else None


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
    likelihood, beside = model.likelihood, like_condition(model)
    if isinstance(likelihood, FromFunctions):
        if likelihood.dim is not None:
            return (likelihood.dim,)
        if likelihood.draw is None:
            raise UsageError(
                "expected a likelihood that says how many columns data have: pass dim= to "
                "tb.distributions.from_functions"
            )
    try:
        return eqx.filter_eval_shape(model.sample, jax.random.key(0), beside)[0].shape
    except UsageError as error:
        # Draws that are there and go wrong say so themselves.
        not_there = isinstance(error.__cause__, NotImplementedError)
        if "samples" in likelihood.offers and not not_there:
            raise
    try:
        return eqx.filter_eval_shape(likelihood.mean, having(like_z(model), beside)).shape
    except (NotImplementedError, UsageError) as error:
        raise UsageError(
            f"expected a likelihood whose draws or mean tell how many columns data have: define "
            f"sample(self, given, *, key) or mean(self, given) of {type(likelihood).__name__}"
        ) from error


def fixed_with_draws(model: Model | Bayesian) -> bool:
    """Whether p(x, z) has nothing to learn, and a prior that can be drawn from by itself.

    A fit of q alone may then start as the prior, which reaches all modes. A model that learns has
    no modes yet that could be lost, and would learn from a q that is too wide.
    """
    learns = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return not learns and not model.condition and "samples" in model.prior.offers
