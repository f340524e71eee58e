"""What a run carries from step to step, as arrays only, and how replicas are started."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from tightbound.networks import over_layers
from tightbound.objectives import Parts

CHECKED = {
    "bound": "the bound",
    "model": "the gradient of the model",
    "posterior": "the gradient of the posterior",
    "update": "the updated parameters",
}
"""What is checked for non-finite numbers at each step, in words."""


class NonFinite(NamedTuple):
    """The first step at which a number was not finite; step -1 if there was none."""

    step: Int[Array, ""]
    where: Bool[Array, " checked"]
    items: Bool[Array, " batch"]


class State(NamedTuple):
    """One replica's state; a run holds it with a leading axis of replicas."""

    params: Parts
    optimizer: Any
    average: Parts | None
    """Exponential moving average of the parameters, if asked for."""
    objective: Any
    """What the objective keeps from step to step, if anything."""
    best: Parts | None
    """Parameters at the best validation bound so far, if early stopping was asked for."""
    best_bound: Float[Array, ""]
    since_best: Int[Array, ""]
    step: Int[Array, ""]
    non_finite: NonFinite


def start(
    params: Parts,
    optimizer: optax.GradientTransformation,
    objective: Any,
    *,
    batch_size: int,
    averaged: bool,
    keep_best: bool,
) -> State:
    """The state before the first step."""
    copy = lambda tree: jax.tree.map(jnp.array, tree)  # noqa: E731
    with jax.numpy_dtype_promotion("standard"):
        optimizer_state = optimizer.init(params)
    nothing_bad = NonFinite(
        jnp.full([], -1, jnp.int32), jnp.zeros(len(CHECKED), bool), jnp.zeros(batch_size, bool)
    )
    state = State(
        params=params,
        optimizer=jax.tree.map(jnp.asarray, optimizer_state),
        average=copy(params) if averaged else None,
        objective=objective,
        best=copy(params) if keep_best else None,
        best_bound=jnp.full([], -jnp.inf),
        since_best=jnp.zeros([], jnp.int32),
        step=jnp.zeros([], jnp.int32),
        non_finite=nothing_bad,
    )
    # A weak type would be gone after one epoch, and all be compiled a second time.
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), state)


def reinitialised(parts: Parts, key: PRNGKeyArray) -> Parts:
    """The same parts with every dense layer drawn afresh by its own rule, for a further replica.

    Arrays of the user's own modules keep their initial values.
    """
    return over_layers(lambda layer, key: layer.fresh(key=key), parts, key)
