"""Draws of a posterior of any kind, and what their values are called.

Draws need no density: implicit posteriors give them as explicit ones do.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data, One
from tightbound.core.streams import numbered
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional
from tightbound.evidence.batches import prepared
from tightbound.models import Bayesian, Model, NumPyroTarget, Target

AT_ONCE = 10_000
"""Draws on the device at once."""


def draws(
    model: Model | Bayesian,
    posterior: AbstractConditional,
    x: DataLike | None = None,
    *,
    n: int,
    key: int | PRNGKeyArray = 0,
    binarize: str = "auto",
) -> Any:
    """Draws of q(z|x), explicit or not, as arrays on the host.

    They are those of `tb.evaluate` with the same key, and a larger n keeps the first of them.

    Args:
        model: p(x, z), or a `Target`.
        posterior: q(z|x).
        x: Data of shape (data, d); none for a `Target`.
        n: Draws for each datum.
        key: Seed or key of draws and binarisation.
        binarize: As for `fit`; "dynamic" draws each item once, by its row.

    Returns:
        z of shape (data, n, dim), or a tuple of layers; of sequences (data, n, steps, m), NaN
        behind the end of each, where a state is of nothing; for a `Target` (n, dim). For one from
        `tb.from_numpyro`, a dict of site names to values on the sites' own supports, with
        deterministic sites, each of shape (n, ...).

    Raises:
        UsageError: n < 1, no posterior, or data that do not suit the model.
    """
    (n,) = at_least(1, n=n)
    if not isinstance(posterior, AbstractConditional):
        raise UsageError(f"expected a posterior to draw from, got {type(posterior).__name__}")
    data = prepared(model, x, binarize, key)
    total = data.n * n
    size = min(total, AT_ONCE)
    batches = []
    for first in range(0, total, size):
        # The last batch is filled up, so that all have one shape.
        numbers = np.minimum(np.arange(first, first + size), total - 1)
        values, items = data.seen(numbers // n)
        z = _drawn(posterior, values, items, jnp.asarray(numbers % n), data.noise_key)
        if isinstance(model, NumPyroTarget):
            z = model.constrain(z)
        batches.append(jax.tree.map(lambda leaf, rest=total - first: np.asarray(leaf)[:rest], z))
    shape = (n,) if isinstance(model, Target) else (data.n, n)
    z = jax.tree.map(
        lambda *parts: np.concatenate(parts).reshape(*shape, *parts[0].shape[1:]), *batches
    )
    return z if data.steps is None else without_padding(z, data.steps)


def without_padding(
    z: Float[np.ndarray, "n draws steps m"], ends: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "n draws steps m"]:
    """States of sequences, NaN behind the end of each: what stands there is noise for bounds."""
    behind = np.arange(z.shape[2]) >= ends[:, None]
    return np.where(behind[:, None, :, None], np.float32(np.nan), z)


@filter_jit
def _drawn(
    posterior: AbstractConditional,
    x: Data,
    items: Int[Array, " b"],
    numbers: Int[Array, " b"],
    root: PRNGKeyArray,
) -> Any:
    """One draw for each row: the key goes by the datum and the draw's number."""

    def one(x: One, item: Int[Array, ""], number: Int[Array, ""]) -> Any:
        key = numbered(numbered(root, item), number)
        return posterior.sample(x, key=key)

    return jax.vmap(one)(x, items, numbers)
