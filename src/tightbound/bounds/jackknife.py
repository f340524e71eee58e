"""The generalised jackknife of the importance weighted bound, of any order.

Reference: Nowozin 2018, "Debiasing Evidence Approximations" (ICLR), eq. 20-21 and algorithm 1;
coefficients of Sharot 1976, eq. 2.5.
Bias: O(k^-(order + 1)) against log p(x), of either sign: no bound for order >= 1.
"""

import functools
import itertools
import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from tightbound.bounds.abstract import AbstractBound
from tightbound.bounds.iwae import IWAE
from tightbound.core.errors import UsageError

SMALL = 1e-15
"""Sums of weights below it are kept as logarithms, lest they or their squares underflow."""
MOST_SUBSETS = 2**20
"""Most subsets whose members are held, for the value."""
MOST_ENTRIES = 2**24
"""Most subsets times draws for which a table of those left is held, for the weights."""


def coefficients(k: int, order: int) -> list[float]:
    """c(k, order, j) = (-1)^j (k - j)^order / ((order - j)! j!) for j = 0, ..., order; sum 1."""
    return [
        (-1) ** j * (k - j) ** order / (math.factorial(order - j) * math.factorial(j))
        for j in range(order + 1)
    ]


class Jackknife(AbstractBound):
    """sum_j c(k, order, j) times the mean of L_(k-j) over all ways to leave j draws out, in nats.

    Never forms the subsets that are kept: leaving out R multiplies the mean weight by
    (1 - sum over R of the normalised weights), so that a subset costs `order` additions and one
    logarithm, and order 1 costs O(k). Each mean is taken as a difference from L_k, relative to
    equal weights; the coefficients, which grow as k^order, then multiply numbers that fall as fast,
    and single precision does.
    """

    order: int = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """Order 0 is the importance weighted bound; higher orders may be on either side."""
        return "lower" if self.order == 0 else "consistent"

    @property
    def shares(self) -> bool:
        """The weights of orders above 0 can be negative."""
        return self.order == 0

    def value(self, log_w: Float[Array, " k"]) -> Float[Array, ""]:
        """The debiased bound in nats."""
        k, plain = log_w.shape[0], IWAE().value(log_w)
        self.check_draws(k)
        c, left = coefficients(k, self.order), _Left.of(log_w)
        changes = [c[j] * jnp.mean(left.log_share(j)) for j in range(1, len(c))]
        # Without any weight there is nothing to leave out, and nothing to correct.
        return jnp.where(jnp.isfinite(plain), sum(changes, start=plain), plain)

    def weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """a_i: the same combination of the subsets' normalised weights."""
        return self._combined(log_w, 1)

    def path_weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """The same combination of the squares of the subsets' normalised weights."""
        return self._combined(log_w, 2)

    def check_draws(self, k: int, *, weights: bool = False) -> None:
        """Raises a `UsageError` if the order does not suit the number of draws.

        Args:
            k: The number of draws.
            weights: Whether `weights` and `path_weights` are wanted, which take more memory.
        """
        if not 0 <= self.order < k:
            raise UsageError(f"expected 0 <= order < k, got order={self.order} with k={k}")
        subsets = math.comb(k, self.order)
        if self.order > 1 and (subsets > MOST_SUBSETS or (weights and subsets * k > MOST_ENTRIES)):
            raise UsageError(
                f"the jackknife of order {self.order} with k={k} has {subsets} "
                "subsets, too many to hold: lower k or the order"
            )

    def _combined(self, log_w: Float[Array, " k"], power: int) -> Float[Array, " k"]:
        k = log_w.shape[0]
        self.check_draws(k, weights=True)
        c, left = coefficients(k, self.order), _Left.of(log_w)
        # With equal weights leaving j out multiplies the sum of the others' powers by this much.
        equal = 1.0 + math.fsum(c[j] * ((1 - j / k) ** (1 - power) - 1) for j in range(len(c)))
        changes = [c[j] * left.mean_change(j, power) for j in range(1, len(c))]
        return sum(changes, start=equal * jax.nn.softmax(log_w) ** power)


class _Left(NamedTuple):
    """Normalised weights, largest first, and what remains of their sum without some of them."""

    log_w: Float[Array, " k"]
    w: Float[Array, " k"]
    excess: Float[Array, " k"]
    """w - 1/k."""
    rank: Float[Array, " k"]

    @staticmethod
    def of(log_w: Float[Array, " k"]) -> "_Left":
        order = jnp.argsort(-log_w)
        w = jax.nn.softmax(log_w)[order]
        return _Left(jax.nn.log_softmax(log_w)[order], w, w - 1.0 / len(w), jnp.argsort(order))

    def beyond(self, r: int) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, " k"]]:
        """The sum of all but the r largest weights as total * exp(log), and the weights' shares.

        What remains beside a dominant weight may be e^-1000 of the whole: then by logarithms. The
        shares mean something for the weights that are in the sum alone.
        """
        total = jnp.sum(self.w[r:]) if r else jnp.ones([], self.w.dtype)
        small = total < SMALL
        total = jnp.where(small, 1.0, total)
        log_total = jax.nn.logsumexp(self.log_w[r:])
        inside = jnp.arange(len(self.w)) >= r
        # Where nothing is left there is no share, and the sum's logarithm is -inf by itself.
        by_logs = inside & small & jnp.isfinite(log_total)
        share = jnp.exp(jnp.where(by_logs, self.log_w - log_total, 0.0))
        by_sum = jnp.where(inside & ~small, self.w, 0.0) / total
        return total, jnp.where(small, log_total, 0.0), jnp.where(by_logs, share, by_sum)

    def log_share(self, j: int) -> Float[Array, " c"]:
        """log((1 - sum over R of w) / (1 - j/k)) for all R of size j."""
        log_share, excess, near = self.shares(j)
        by_excess = jnp.log1p(jnp.where(near, -excess, 0.0) / (1 - j / len(self.w)))
        return jnp.where(near, by_excess, jnp.where(near, 0.0, log_share))

    def mean_change(self, j: int, power: int) -> Float[Array, " k"]:
        """Mean over R of size j of (w / share)^power - (w / (1 - j/k))^power, or 0 for w in R.

        For each draw, in the order of the draws.
        """
        k = len(self.w)
        equal = 1 - j / k
        leading = np.arange(k) == 0 if j == 1 else _subsets(k, j).leading > 0
        log_share, excess, near = self.shares(j)
        log_share = log_share + math.log(equal)
        # While the largest weight remains so does a share of at least 1 / (1 + j).
        tiny = ~near & jnp.asarray(leading)
        inverse = jnp.exp(jnp.where(tiny, 0.0, -log_share))
        change = jnp.where(near, excess * inverse / equal, inverse - 1 / equal)
        if power == 2:
            change = change * (inverse + 1 / equal)
        change = jnp.where(tiny, 0.0, change)
        if j == 1:
            of_most, kept = _sum_of_others(change), leading[None] < 1
        else:
            without = _without(k, j)
            of_most, kept = change @ jnp.asarray(without, change.dtype), without[leading] > 0
        of_tiny = self._tiny(log_share[leading], tiny[leading], jnp.asarray(kept), equal, power)
        return ((self.w**power * of_most + of_tiny) / len(change))[self.rank]

    def _tiny(
        self,
        log_share: Float[Array, " c"],
        tiny: Bool[Array, " c"],
        kept: Bool[Array, "c k"],
        equal: float,
        power: int,
    ) -> Float[Array, " k"]:
        """The sum of the same differences over those R that leave next to nothing behind."""
        counted = kept & tiny[:, None]
        log_ratio = jnp.where(counted, self.log_w[None] - log_share[:, None], 0.0)
        difference = jnp.exp(power * log_ratio) - ((self.w / equal) ** power)[None]
        return jnp.sum(jnp.where(counted, difference, 0.0), axis=0)

    def shares(self, j: int) -> tuple[Float[Array, " c"], Float[Array, " c"], Bool[Array, " c"]]:
        """For all R of size j: log_share, the sum over R of w - 1/k, and which are `near`.

        Near are those of which at least half of the share at equal weights is left. The largest
        draws are left out by summing the others. Whatever else is left out is no more than half of
        what remains with it, because a larger weight remains.
        """
        equal = 1 - j / len(self.w)
        if j == 1:
            first = jnp.arange(len(self.w)) == 0
            total, log, _ = self.beyond(1)
            share = jnp.where(first, total, 1.0 - self.w)
            log_share = jnp.log(share / equal) + jnp.where(first, log, 0.0)
            return log_share, self.excess, self.excess < 0.5 * equal
        subsets = _subsets(len(self.w), j)
        excess = jnp.sum(self.excess[subsets.members], axis=1)
        total, log, shares = map(jnp.stack, zip(*map(self.beyond, range(j + 1)), strict=True))
        of_members = shares[subsets.leading[:, None], subsets.members]
        kept = total[subsets.leading] * (1 - jnp.sum(of_members * subsets.others, axis=1))
        log_share = jnp.log(kept / equal) + log[subsets.leading]
        return log_share, excess, excess < 0.5 * equal


class _Subsets(NamedTuple):
    """All ways to leave j out of k draws that are sorted by weight, largest first; constants."""

    members: np.ndarray
    leading: np.ndarray
    """How many of the largest draws are left out before the first that is not."""
    others: np.ndarray
    """1 for the members beyond those."""


@functools.cache
def _subsets(k: int, j: int) -> _Subsets:
    members = np.array(list(itertools.combinations(range(k), j)), np.int32)
    run = np.cumprod(members == np.arange(j), axis=1, dtype=np.int32)
    return _Subsets(members, run.sum(axis=1), (1 - run).astype(np.float32))


@functools.cache
def _without(k: int, j: int) -> np.ndarray:
    """1 for the draws that each subset leaves, of shape (subsets, k)."""
    members = _subsets(k, j).members
    without = np.ones((len(members), k), np.float32)
    np.put_along_axis(without, members, 0.0, axis=1)
    return without


def _sum_of_others(values: Float[Array, " k"]) -> Float[Array, " k"]:
    """For each entry the sum of all others, without cancellation."""
    zero = jnp.zeros(1, values.dtype)
    before = jnp.concatenate([zero, jnp.cumsum(values)[:-1]])
    after = jnp.concatenate([jnp.cumsum(values[::-1])[::-1][1:], zero])
    return before + after
