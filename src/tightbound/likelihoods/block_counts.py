"""Means of the squares of a binary image, and the image given these: counts of independent bits.

A square's count is Poisson-binomial. With a_j(c) = P(the first j pixels have the sum c) =
(1 - p_j) a_{j-1}(c) + p_j a_{j-1}(c - 1), and backwards P(x_j = 1 | the first j have the sum c) =
p_j a_{j-1}(c - 1) / a_j(c): the count's mass, each pixel's probability given it, and draws, all
exact in O(n^2) for n pixels.

Chen & Liu 1997, Statistica Sinica 7 (the recursion, and draws given the sum).
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from tightbound.core.supports import Support, lattice
from tightbound.distributions.restoration import BlockMeans
from tightbound.likelihoods.degraded import AbstractDegraded
from tightbound.likelihoods.noised import ones_and_zeros

Squares = Float[Array, "pixels n"]
"""Pixel by pixel of n squares."""


class BinaryBlockMeans(AbstractDegraded):
    """The means of squares of independent pixels in {0, 1}."""

    likelihood: Any
    """Of independent values in {0, 1}."""
    degrade: BlockMeans
    shape: tuple[int, ...] = eqx.field(static=True)
    """That of x, which may be flat."""

    @property
    def support(self) -> Support:
        """Counts, divided by the number of pixels."""
        return lattice(1 / self.degrade.factor**2, 0.0, 1.0)

    @property
    def numbers(self) -> int:
        """Of each pixel the masses of all counts."""
        return math.prod(self.shape) * (self.degrade.factor**2 + 1)

    def back(self, value: Float[Array, " n"]) -> Float[Array, "*item"]:
        """Each mean at all pixels of its square."""
        return self.degrade.back(value).reshape(self.shape)

    def log_prob_each(self, value: Float[Array, " n"], given: Any) -> Float[Array, " n"]:
        """Log-mass of each mean in nats."""
        counts = log_counts(*self._logs(given))[-1]
        return jnp.take_along_axis(counts, self._count(value)[None], axis=0)[0]

    def mean(self, given: Any) -> Float[Array, " n"]:
        """The means of the pixels' probabilities."""
        return jnp.mean(jnp.exp(self._logs(given)[0]), axis=0)

    def mean_clean(
        self, value: Float[Array, " n"], observed: Bool[Array, " n"], given: Any
    ) -> Float[Array, "*item"]:
        """The probability of a one in x."""
        one, zero = self._logs(given)
        probs = ones_given_count(one, zero, self._count(value))
        return self._whole(jnp.where(observed[None], probs, jnp.exp(one)))

    def sample_clean(
        self,
        value: Float[Array, " n"],
        observed: Bool[Array, " n"],
        given: Any,
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "*item"]:
        """Pixels that have the count, or that are independent where it is missing."""
        one, zero = self._logs(given)
        u = jax.random.uniform(key, one.shape, one.dtype)
        drawn = drawn_given_count(one, zero, self._count(value), u)
        return self._whole(jnp.where(observed[None], drawn, jnp.astype(u < jnp.exp(one), u.dtype)))

    def _logs(self, given: Any) -> tuple[Squares, Squares]:
        """Log-probabilities of a one and of a zero, square by square."""
        one, zero = ones_and_zeros(self.likelihood, self.shape, given)
        return self.degrade.squares(jnp.ravel(one)), self.degrade.squares(jnp.ravel(zero))

    def _count(self, value: Float[Array, " n"]) -> Int[Array, " n"]:
        return jnp.astype(jnp.round(value * self.degrade.factor**2), jnp.int32)

    def _whole(self, squares: Squares) -> Float[Array, "*item"]:
        return self.degrade.joined(squares).reshape(self.shape)


def log_counts(one: Squares, zero: Squares) -> Float[Array, "pixels1 counts n"]:
    """Log a_j(c) in nats for j = 0, ..., pixels, from the logs of p_j and of 1 - p_j."""
    first = jnp.full((one.shape[0] + 1, one.shape[1]), -jnp.inf, one.dtype).at[0].set(0.0)

    def step(before: Any, pixel: Any) -> tuple[Any, Any]:
        p, q = pixel
        after = jnp.logaddexp(before + q[None], _one_more(before) + p[None])
        return after, after

    _, rest = jax.lax.scan(step, first, (one, zero))
    return jnp.concatenate([first[None], rest])


def ones_given_count(one: Squares, zero: Squares, count: Int[Array, " n"]) -> Squares:
    """P(x_j = 1 | count): the sum that is left for the first pixels is a chain, backwards."""
    ones = _backwards(one, zero)
    left = jax.nn.one_hot(count, one.shape[0] + 1, axis=0, dtype=one.dtype)

    def step(left: Any, h: Any) -> tuple[Any, Any]:
        taken = left * h
        return left - taken + jnp.roll(taken, -1, axis=0), jnp.sum(taken, axis=0)

    return jax.lax.scan(step, left, ones, reverse=True)[1]


def drawn_given_count(one: Squares, zero: Squares, count: Int[Array, " n"], u: Squares) -> Squares:
    """One draw of the pixels given their sum, made of uniform numbers."""
    ones = _backwards(one, zero)

    def step(left: Any, pixel: Any) -> tuple[Any, Any]:
        h, u = pixel
        is_one = u < jnp.take_along_axis(h, left[None], axis=0)[0]
        return left - jnp.astype(is_one, left.dtype), jnp.astype(is_one, u.dtype)

    return jax.lax.scan(step, count, (ones, u), reverse=True)[1]


def _backwards(one: Squares, zero: Squares) -> Float[Array, "pixels counts n"]:
    """P(x_j = 1 | the first j have the sum c); 0 where that is impossible."""
    logs = log_counts(one, zero)
    possible = logs[1:] > -jnp.inf
    ratio = one[:, None] + jax.vmap(_one_more)(logs[:-1]) - jnp.where(possible, logs[1:], 0.0)
    return jnp.where(possible, jnp.exp(ratio), 0.0)


def _one_more(log_masses: Float[Array, "counts n"]) -> Float[Array, "counts n"]:
    """Those of a sum that is one larger."""
    return jnp.roll(log_masses, 1, axis=0).at[0].set(-jnp.inf)
