"""What the components of a mixture make of their shares of the data: moments and frequencies.

Reference: Little & Rubin 2019, Statistical Analysis with Missing Data, section 11.2: a missing
value of normal data counts as its mean given those that are there, and its covariance given them
is added.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from tightbound.core.items import Data, Datum, observed
from tightbound.distributions import BernoulliComponents, GaussianComponents
from tightbound.distributions.triangular import HIGHEST, cholesky, inverse

ENTRIES = 2**22
"""Most numbers of covariances that are held at once."""


def moments(
    old: GaussianComponents, x: Data, shares: Float[Array, "n k"]
) -> tuple[Float[Array, "k d"], Float[Array, "k d d"]]:
    """Means and covariances of the data as each component has its share of them."""
    if isinstance(x, Datum):
        known = x.x, observed(x)
        return jax.lax.map(
            lambda of_one: _completed_moments(*known, *of_one),
            (shares.T, old.means, old.covariances()),
        )
    means = jnp.matmul(shares.T, x, precision=HIGHEST)

    def scatter(of_one: tuple[Float[Array, " n"], Float[Array, " d"]]) -> Float[Array, "d d"]:
        share, mean = of_one
        centred = x - mean[None, :]
        return jnp.matmul((share[:, None] * centred).T, centred, precision=HIGHEST)

    return means, jax.lax.map(scatter, (shares.T, means))


def frequencies(
    old: BernoulliComponents, x: Data, weights: Float[Array, "n k"], shares: Float[Array, "n k"]
) -> Float[Array, "k d"]:
    """How often pixels are one among those that are known, as each component has its share."""
    if not isinstance(x, Datum):
        return jnp.matmul(shares.T, x, precision=HIGHEST)
    known = jnp.matmul(weights.T, jnp.astype(observed(x), weights.dtype), precision=HIGHEST)
    ones = jnp.matmul(weights.T, x.x, precision=HIGHEST)
    nothing = known < jnp.sqrt(jnp.finfo(known.dtype).tiny)
    return jnp.where(nothing, jax.nn.sigmoid(old.logits), ones / jnp.where(nothing, 1.0, known))


def _completed_moments(
    x: Float[Array, "n d"],
    observed: Bool[Array, "n d"],
    shares: Float[Array, " n"],
    mean: Float[Array, " d"],
    covariance: Float[Array, "d d"],
) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
    """Weighted mean of the data and their scatter around it, as expected under a normal.

    Args:
        x: Data of shape (n, d), 0 where they are missing.
        observed: Which values are known.
        shares: Weights of the data; they sum to one.
        mean: Of the normal, shape (d,).
        covariance: Of the normal, shape (d, d), positive definite.
    """
    n, d = x.shape
    size = min(n, max(1, ENTRIES // d**2))
    count = -(-n // size)

    def in_blocks(a: Array) -> Array:
        # Rows of zeros that fill the last block up have no share.
        filled = jnp.pad(a, [(0, count * size - n)] + [(0, 0)] * (a.ndim - 1))
        return filled.reshape(count, size, *a.shape[1:])

    def add(total: Array, block: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        x, observed, share = block
        filled, spread = jax.vmap(lambda x, known: _completed(x, known, mean, covariance))(
            x, observed
        )
        return total + jnp.einsum("n,nij->ij", share, spread, precision=HIGHEST), filled

    blocks = in_blocks(x), in_blocks(observed), in_blocks(shares)
    spread, filled = jax.lax.scan(add, jnp.zeros_like(covariance), blocks)
    filled = filled.reshape(-1, d)[:n]
    centre = jnp.matmul(shares, filled, precision=HIGHEST)
    away = filled - centre[None]
    scatter = jnp.matmul((shares[:, None] * away).T, away, precision=HIGHEST)
    return centre, scatter + spread


def _completed(
    x: Float[Array, " d"],
    observed: Bool[Array, " d"],
    mean: Float[Array, " d"],
    covariance: Float[Array, "d d"],
) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
    """A datum with means in place of missing values, and the covariance of these."""
    known = jnp.astype(observed, x.dtype)
    # Missing entries are put apart, with variance 1, and say nothing of the others.
    block = known[:, None] * covariance * known[None] + jnp.diag(1 - known)
    whiten = inverse(cholesky(block))
    cross = jnp.matmul(whiten, known[:, None] * covariance, precision=HIGHEST)
    white = jnp.matmul(whiten, known * (x - mean), precision=HIGHEST)
    filled = jnp.where(observed, x, mean + jnp.matmul(white, cross, precision=HIGHEST))
    left = covariance - jnp.matmul(cross.T, cross, precision=HIGHEST)
    return filled, (1 - known)[:, None] * left * (1 - known)[None]
