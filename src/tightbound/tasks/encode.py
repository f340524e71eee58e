"""From rows to latent values and back: what is expected of z given x, and of x given z.

E[z|x] is that of `codes`. Of a finite z it is the posterior p(z|x) itself, exactly and in double
precision.

Bias: of order 1 / ESS; none of a finite z, nor where q is exact.
"""

import math
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.data import DataLike
from tightbound.distributions import AbstractFinite
from tightbound.distributions.triangular import HIGHEST
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.models import Bayesian, Model, RecurrentModel
from tightbound.models.shapes import like_z
from tightbound.tasks.codes import coded
from tightbound.tasks.marginals import single
from tightbound.tasks.predictive import K


def encode(
    model: Model | Bayesian,
    posterior: Any,
    x: DataLike,
    *,
    k: int = K,
    **execution: Unpack[ExecutionSettings],
) -> Float[np.ndarray, "n latent"]:
    """E[z|x_observed] of each datum; of a finite z the probability of each of its values.

    Args:
        model: p(x, z).
        posterior: q(z|x), the proposal; None for a model of finitely many z.
        x: Data of shape (n, *item), NaN where values are missing; or a source of them.
        k: Draws of z for each datum.
        execution: `key`, `binarize`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Returns:
        Shape (n, latent), of several layers one behind the other, the bottom one first; of
        sequences the steps' states, NaN behind the end of each; of a finite z shape (n, states),
        in the prior's order.

    Raises:
        UsageError: As for `tb.tasks.predictive`.
        NonFiniteError: A log-weight is NaN or +inf; the rows are named.
    """
    run = Execution.of(encode, execution, without=("chunk", "resume", "keep"))
    model = single(model)
    (k,) = at_least(1, k=k)
    return coded(model, posterior, x, run, k=k, draws=0, doing="encoding").mean


class Decoded(NamedTuple):
    """What is expected of n rows."""

    x: Float[np.ndarray, "n *item"]
    """Means; of a column of levels the number of the most probable one."""
    level_probs: dict[int, Float[np.ndarray, "n levels"]]
    """The probability of each level, by the number of the column that has levels."""


def decode(model: Model | Bayesian, codes: Float[np.ndarray, "n latent"]) -> Decoded:
    """E[x|z] of each z; where z is finite, of what the probabilities of its values leave open.

    Args:
        model: p(x, z), without a condition.
        codes: As `encode` gives them. Of a finite z the rows are probabilities, and sum to one.

    Raises:
        UsageError: Another width, a model with a condition, one whose likelihood has no mean, or
            whose steps depend on the values before them.
    """
    model = single(model)
    if model.condition:
        raise UsageError("expected a model without a condition to decode values of z alone")
    if isinstance(model, RecurrentModel):
        raise UsageError(
            "what is expected of x given z alone is not known where each step depends on the "
            "values before it: expected a model other than a RecurrentModel; its draws are "
            "model.sample(key), and what follows given values tb.tasks.forecast"
        )
    like = like_z(model)
    finite = isinstance(model.prior, AbstractFinite)
    if finite:
        width = model.prior.states
    else:
        width = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(like))
    codes = np.asarray(codes, np.float32)
    if codes.ndim != 2 or codes.shape[1] != width:
        raise UsageError(f"expected codes of shape (n, {width}), got {codes.shape}")
    make = _mixed if finite else _means_given
    return Decoded(*jax.tree.map(np.asarray, make(model, jnp.asarray(codes))))


def _expected(model: Model, z: Any) -> tuple[Float[Array, "*item"], dict[int, Array]]:
    return model.likelihood.mean(z), model.likelihood.level_probs(z)


@filter_jit
def _means_given(
    model: Model, codes: Float[Array, "n latent"]
) -> tuple[Float[Array, "n *item"], dict[int, Array]]:
    like = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like_z(model))
    unravel = ravel_pytree(like)[1]
    return jax.vmap(lambda code: _expected(model, unravel(code)))(codes)


@filter_jit
def _mixed(
    model: Model, codes: Float[Array, "n s"]
) -> tuple[Float[Array, "n *item"], dict[int, Array]]:
    """The mean over the values of z, as probable as the codes say; of levels the most probable."""

    def mixed(of_each: Float[Array, "s *a"]) -> Float[Array, "n *a"]:
        return jnp.tensordot(codes, of_each, 1, precision=HIGHEST)

    means, level_probs = jax.vmap(lambda z: _expected(model, z))(model.prior.enumerate())
    x, probs = mixed(means), jax.tree.map(mixed, level_probs)
    for place, of_levels in probs.items():
        x = x.at[:, place].set(jnp.argmax(of_levels, axis=1).astype(x.dtype))
    return x, probs
