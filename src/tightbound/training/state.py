"""What a run carries from step to step, as arrays only, and how replicas are started."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from tightbound.core.digests.arrays import digest_of
from tightbound.core.errors import UsageError
from tightbound.networks import Fixed, is_layer, over_layers
from tightbound.objectives import Params
from tightbound.training.checkpoint import mismatches, named_leaves

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

    params: Params
    optimizer: Any
    average: Params | None
    """Exponential moving average of the parameters, if asked for."""
    objective: Any
    """What the objective keeps from step to step, if anything."""
    best: Params | None
    """Parameters at the best validation bound so far, if early stopping was asked for."""
    best_bound: Float[Array, ""]
    since_best: Int[Array, ""]
    step: Int[Array, ""]
    non_finite: NonFinite


def start(
    params: Params,
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


def reinitialised(params: Params, key: PRNGKeyArray) -> Params:
    """The same parts with every layer drawn afresh by its own rule, for a further replica.

    Raises:
        UsageError: Other arrays hold numbers that somebody drew or chose: a further replica with
            the same ones would be none.
    """
    kept = [name for name, leaf in _in_no_layer(params) if len(np.unique(np.asarray(leaf))) > 1]
    if kept:
        named = ", ".join(kept[:3]) + (", ..." if len(kept) > 3 else "")
        raise UsageError(
            f"seeds > 1 needs to know how {named} starts in a further replica: pass build=, a "
            "function of a key that gives (model, posterior) anew"
        )
    return over_layers(lambda layer, key: layer.fresh(key=key), params, key)


def built(
    params: Params, build: Callable[[PRNGKeyArray], tuple[Any, Any]], key: PRNGKeyArray
) -> Params:
    """What somebody's function makes of a key, of the same structure as the parts.

    Raises:
        UsageError: It gives something else than such a pair.
    """
    made = build(key)
    if not (isinstance(made, tuple) and len(made) == 2):
        raise UsageError(f"expected build(key) to give (model, posterior), got {type(made)}")
    fresh = Params(*made)
    wrong = mismatches(
        eqx.filter(params, eqx.is_inexact_array),
        named_leaves(eqx.filter(fresh, eqx.is_inexact_array)),
    )
    if wrong:
        raise UsageError(
            f"expected build(key) to give a model and posterior of one form: {'; '.join(wrong)}"
        )
    if held(fresh) != held(params):
        raise UsageError(
            "expected build(key) to give a model and posterior that hold the same fixed "
            "numbers, such as those by which they standardise data: build on the same data"
        )
    return fresh


def held(params: Params) -> str | None:
    """SHA-256 of the numbers that the parts hold and no optimiser moves; None without any."""
    is_fixed = lambda node: isinstance(node, Fixed)  # noqa: E731
    numbers = named_leaves([leaf for leaf in jax.tree.leaves(params, is_fixed) if is_fixed(leaf)])
    return digest_of(numbers) if numbers else None


def _in_no_layer(params: Params) -> list[tuple[str, Any]]:
    """The trained arrays outside of layers, with their places."""
    leaves = jax.tree_util.tree_leaves_with_path(params, is_leaf=is_layer)
    return [
        (jax.tree_util.keystr(path).lstrip("."), leaf)
        for path, leaf in leaves
        if eqx.is_inexact_array(leaf)
    ]
