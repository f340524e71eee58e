"""Cholesky factors and lower triangular systems by matrix products alone, without LAPACK.

On CPU, programs with several batched LAPACK calls (triangular solves, Cholesky factors) may wait
for ever (jaxlib 0.10.2, two threads), so that nothing in this library makes any. The inverses of
blocks of twice the size follow from those of blocks of one size: [[A, 0], [B, C]] has the inverse
[[1/A, 0], [-(1/C) B (1/A), 1/C]].

Reference: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 14.2 (block methods
for triangular inversion: residuals as small as by substitution).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

HIGHEST = jax.lax.Precision.HIGHEST


def inverse(lower: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """The inverse of a lower triangular matrix; what stands above its diagonal is not read.

    One inverse serves all vectors: 2 log2(d) products of matrices.
    """
    d = lower.shape[0]
    found = jnp.diag(1 / jnp.diagonal(lower))
    size = 1
    while size < d:
        block = np.arange(d) // size
        # Of each pair of blocks, what stands below the first one and left of the second.
        between = (block[:, None] % 2 == 1) & (block[None, :] == block[:, None] - 1)
        corner = jnp.where(between, lower, 0.0)
        change = jnp.matmul(found, corner, precision=HIGHEST)
        found = found - jnp.matmul(change, found, precision=HIGHEST)
        size *= 2
    return found


@jax.custom_jvp
def cholesky(matrix: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """The Cholesky factor of a positive definite matrix, column by column; NaN of any other."""
    rows = jnp.arange(matrix.shape[0])
    if not rows.size:
        return matrix

    def column(j: Any, factor: Array) -> Array:
        rest = matrix[:, j] - jnp.matmul(factor, factor[j], precision=HIGHEST)
        return factor.at[:, j].set(jnp.where(rows < j, 0.0, rest / jnp.sqrt(rest[j])))

    return jax.lax.fori_loop(0, matrix.shape[0], column, jnp.zeros_like(matrix))


@cholesky.defjvp
def _cholesky_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """DL = L Phi((1/L) dA (1/L)'), Phi the lower triangle with half the diagonal."""
    (matrix,), (change,) = primals, tangents
    factor = cholesky(matrix)
    inverted = inverse(factor)
    change = (change + change.T) / 2
    inner = jnp.matmul(inverted, change, precision=HIGHEST)
    inner = jnp.matmul(inner, inverted.T, precision=HIGHEST)
    half = jnp.tril(inner) - jnp.diag(jnp.diagonal(inner)) / 2
    return factor, jnp.matmul(factor, half, precision=HIGHEST)
