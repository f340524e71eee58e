"""How much of log p(x, z) is rounding: the density is asked at neighbours of the same numbers.

A float32 holds 24 bits: data at 1e6 are known to 0.06, and a log-density of -5.6e9 to 512 nats.
What that does to a log-weight depends on where the model subtracts, which its value hides. So data
and draws are moved by one unit in their last place, some of them up and the others not at all,
and the largest change of the log-density counts; beside it the last places of its parts do. No
derivative is needed, and any rounding on the way shows in the same numbers.

Reference: Vignes 1993, Math. Comput. Simul. 35(3) (stochastic arithmetic: random rounding).
Bias: a bound in practice and not by proof: eight patterns stand for all.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.core.items import Data, One, values
from tightbound.core.streams import as_key, first_keys, numbered, stream
from tightbound.likelihoods import Stepwise
from tightbound.models.model import Model
from tightbound.models.standardization import columns, standardization

PATTERNS = 8
"""Sets of numbers that are moved."""
FACTOR = 2.0
"""By which the largest change is taken, since patterns are few."""


def rounding(
    model: Model, x: Data, z: Any, log_q: Float[Array, " n"] | None = None
) -> Float[Array, " n"]:
    """How far rounding may have taken log p(x, z) - log q(z|x) of each datum, in nats.

    Args:
        model: p(x, z).
        x: Data of shape (n, d), as the model sees them.
        z: One draw for each, that has much of the weight: an array with a leading axis n, or a
            tuple of layers.
        log_q: Its log-density, where there is one.
    """
    eps = jnp.finfo(values(x).dtype).eps

    def one(x: One, z: Any) -> Float[Array, ""]:
        prior = model.log_prior(x, z)
        likelihood = model.log_likelihood(x, z)

        def moved(number: Any) -> Float[Array, ""]:
            leaves, tree = jax.tree.flatten((x, z))
            root = stream(as_key(0), "rounding.patterns")
            keys = first_keys(numbered(root, number), len(leaves))
            near = [_moved(leaf, key) for leaf, key in zip(leaves, keys, strict=True)]
            return model.log_joint(*jax.tree.unflatten(tree, near))

        change = jax.vmap(moved)(jnp.arange(PATTERNS)) - (prior + likelihood)
        # Beyond the end of a support there is nothing to compare with.
        largest = jnp.max(jnp.where(jnp.isfinite(change), jnp.abs(change), 0.0))
        parts = jnp.abs(prior) + jnp.abs(likelihood) + 2 * _log_jacobian(model, values(x))
        return FACTOR * largest + eps * jnp.where(jnp.isfinite(parts), parts, 0.0)

    found = jax.vmap(one)(x, z)
    return found if log_q is None else found + eps * jnp.abs(log_q)


def heaviest(log_w: Float[Array, "n k"], z: Any) -> tuple[Any, Any]:
    """Of each datum's draws, shape (n, k, ...), the one with the largest weight; and its number."""
    number = jnp.argmax(log_w, axis=1)
    return jax.tree.map(lambda leaf: jax.vmap(lambda of, i: of[i])(leaf, number), z), number


def _log_jacobian(model: Model, x: Float[Array, "*item"]) -> Float[Array, ""]:
    """Size of what changes the units of the likelihood, which may cancel much of its density."""
    if isinstance(model.likelihood, Stepwise):
        of_step = Model(model.prior, model.likelihood.step)
        return model.likelihood.steps * _log_jacobian(of_step, x[0])
    of, units = columns(model), standardization(model)
    if of is not None:
        return jnp.sum(jnp.abs(of.log_scale(x)))
    return jnp.zeros([], x.dtype) if units is None else jnp.abs(jnp.sum(units.log_scale(x)))


def _moved(leaf: Array, key: Any) -> Array:
    """Some of the numbers away from zero by one unit in the last place, so that counts stay."""
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf
    up = jnp.nextafter(leaf, jnp.sign(leaf) * jnp.inf)
    return jnp.where(jax.random.bernoulli(key, 0.5, leaf.shape) & (leaf != 0), up, leaf)
