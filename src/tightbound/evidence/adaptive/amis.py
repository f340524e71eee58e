"""Adaptive multiple importance sampling: a mixture is fitted anew to all draws so far.

Weights of old draws depend on later proposals: their mean is low by more than its error shows. So
they fit the mixture alone, and as many fresh draws of the last one make the estimate.

Reference: Cornuet, Marin, Mira & Robert 2012, Scand. J. Stat. 39(4), arXiv 0907.1254 (recycling);
Cappe, Douc, Guillin, Marin & Robert 2008, Stat. Comput. 18, arXiv 0710.4242 (the Rao-Blackwellised
EM step for mixtures of normals and of Student's t).
Bias: none in Z-hat, given the last mixture; the log is low on average. (Recycled weights would give
none of known sign: Marin, Pudlo & Sedki 2019, arXiv 1211.2548.)
"""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import at_least, plain
from tightbound.core.streams import first_keys, streams
from tightbound.distributions.triangular import HIGHEST, cholesky, inverse
from tightbound.evidence.adaptive.adaptation import (
    AbstractAdaptation,
    LogDensity,
    Weighted,
    check_kernel,
    draw_kernel,
    effective_share,
    kernel_words,
    log_kernel,
    normalised,
)

LEAST_SHARE = 0.05
"""Share of the mixture that is spread over all components, so that none dies out."""


class Mixture(NamedTuple):
    """Weights, means and Cholesky factors of the scale matrices of c components."""

    log_share: Float[Array, " c"]
    mean: Float[Array, "c d"]
    factor: Float[Array, "c d d"]


class AMIS(AbstractAdaptation):
    """A mixture of normals, or of Student's t, fitted to all weighted draws after each round.

    Args:
        components: Components of the mixture.
        each: Draws of a round.
        rounds: Rounds that fit the mixture; every draw of every round counts. As many draws as in
            all of them, of the last mixture, then make the estimate.
        dof: Degrees of freedom of Student-t components; None for normal ones.

    Raises:
        UsageError: Numbers outside their range.
    """

    components: int = eqx.field(static=True, converter=plain, default=1)
    each: int = eqx.field(static=True, converter=plain, default=500)
    rounds: int = eqx.field(static=True, converter=plain, default=10)
    dof: float | None = eqx.field(static=True, default=3.0)

    def __check_init__(self) -> None:
        """Refuses numbers outside their range."""
        at_least(1, components=self.components, rounds=self.rounds)
        at_least(2, each=self.each)
        check_kernel(self.dof)

    @property
    def kind(self) -> str:
        """Fresh draws leave the mean weight unbiased."""
        return "lower"

    @property
    def words(self) -> str:
        """The settings."""
        return (
            f"adaptive multiple importance sampling: {self.components} {kernel_words(self.dof)} "
            f"components, {self.rounds} rounds of {self.each} draws, and as many of the last"
        )

    @property
    def draws(self) -> int:
        """As many as the rounds have."""
        return self.each * self.rounds

    @property
    def at_once(self) -> int:
        """All draws are kept."""
        return self.draws

    def run(
        self, log_density: LogDensity, first: Float[Array, "s d"], key: PRNGKeyArray
    ) -> Weighted:
        """All rounds for one datum."""
        d = first.shape[1]
        start_key, key, last_key = streams(key, "amis.start", "amis.rounds", "amis.last")
        mixture = self._beginning(first, start_key)
        rounds = jnp.arange(self.rounds)
        born = jnp.repeat(rounds, self.each)

        def one(state: Any, turn: Any) -> tuple[Any, Any]:
            mixture, past, u, log_f, log_sum = state
            number, key = turn
            new = self._draw(mixture, key)
            at = number * self.each
            u = jax.lax.dynamic_update_slice(u, new, (at, 0))
            log_f = jax.lax.dynamic_update_slice(log_f, jax.vmap(log_density)(new), (at,))
            # Of the new draws all earlier mixtures count, of the earlier draws the new mixture.
            of_past = jax.lax.map(lambda m: self._log_density(m, new), past)
            of_past = jnp.where(rounds[:, None] < number, of_past, -jnp.inf)
            own = jax.nn.logsumexp(of_past, axis=0)
            log_sum = jax.lax.dynamic_update_slice(log_sum, own, (at,))
            log_sum = jnp.logaddexp(log_sum, self._log_density(mixture, u))
            past = jax.tree.map(lambda kept, now: kept.at[number].set(now), past, mixture)
            log_w = jnp.where(
                born <= number, log_f - log_sum + jnp.log1p(jnp.asarray(number, u.dtype)), -jnp.inf
            )
            share = effective_share(jax.lax.dynamic_slice(log_w, (at,), (self.each,)))
            return (self._refitted(mixture, u, log_w), past, u, log_f, log_sum), share

        empty = jnp.zeros((self.draws, d))
        past = jax.tree.map(lambda a: jnp.repeat(a[None], self.rounds, axis=0), mixture)
        nothing = jnp.full(self.draws, -jnp.inf)
        state = (mixture, past, empty, nothing, nothing)
        turns = (rounds, first_keys(key, self.rounds))
        (last, *_), shares = jax.lax.scan(one, state, turns)

        def fresh(key: PRNGKeyArray) -> tuple[Any, Any]:
            u = self._draw(last, key)
            return u, jax.vmap(log_density)(u) - self._log_density(last, u)

        u, log_w = jax.lax.map(fresh, first_keys(last_key, self.rounds))
        return Weighted(u.reshape(-1, d), log_w.reshape(-1), shares)

    def _beginning(self, first: Float[Array, "s d"], key: PRNGKeyArray) -> Mixture:
        """One component in the middle, or several at draws of the start, all as wide as it."""
        d = first.shape[1]
        mean = jnp.zeros((1, d))
        if self.components > 1:
            mean = jax.random.choice(key, first, (self.components,), replace=False)
        factor = jnp.repeat(jnp.eye(d)[None], self.components, axis=0)
        return Mixture(jnp.full(self.components, -math.log(self.components)), mean, factor)

    def _draw(self, mixture: Mixture, key: PRNGKeyArray) -> Float[Array, "n d"]:
        which_key, kernel_key = streams(key, "amis.which", "amis.kernel")
        which = jax.random.categorical(which_key, mixture.log_share, shape=(self.each,))
        white = draw_kernel(kernel_key, (self.each, mixture.mean.shape[1]), self.dof)
        return mixture.mean[which] + jnp.einsum("nij,nj->ni", mixture.factor[which], white)

    def _by_component(
        self, mixture: Mixture, u: Float[Array, "n d"]
    ) -> tuple[Float[Array, "c n"], Float[Array, "c n"]]:
        """Log of share times density of each component, and the squared distances from it."""

        def one(log_share: Any, mean: Any, factor: Any) -> tuple[Any, Any]:
            white = jnp.matmul(u - mean[None], inverse(factor).T, precision=HIGHEST)
            log_volume = jnp.sum(jnp.log(jnp.diagonal(factor)))
            return log_share + log_kernel(white, self.dof) - log_volume, jnp.sum(white**2, axis=1)

        return jax.vmap(one)(*mixture)

    def _log_density(self, mixture: Mixture, u: Float[Array, "n d"]) -> Float[Array, " n"]:
        return jax.nn.logsumexp(self._by_component(mixture, u)[0], axis=0)

    def _refitted(
        self, mixture: Mixture, u: Float[Array, "n d"], log_w: Float[Array, " n"]
    ) -> Mixture:
        """One EM step on the weighted draws, held back where few of them are effective."""
        d = u.shape[1]
        weight = normalised(log_w)
        by_component, squares = self._by_component(mixture, u)
        mass = jax.nn.softmax(by_component, axis=0) * weight[None]
        # The t's E-step takes weight off draws that are far out.
        near = mass if self.dof is None else mass * (self.dof + d) / (self.dof + squares)

        def one(mass: Any, near: Any, mean: Any, factor: Any) -> tuple[Any, Any]:
            total = jnp.sum(mass)
            tiny = jnp.finfo(mass.dtype).tiny
            # With fewer effective draws than dimensions their covariance is singular: as many of
            # the component before stand in for what is missing.
            effective = total**2 / jnp.maximum(jnp.sum(mass**2), tiny)
            effective = jnp.where(total > 0, effective, 0.0)
            trust = effective / (effective + d + 1)
            fitted = near @ u / jnp.maximum(jnp.sum(near), tiny)
            moved = mean + trust * (fitted - mean)
            away = u - moved[None]
            covariance = (near[:, None] * away).T @ away / jnp.maximum(total, tiny)
            before = factor @ factor.T
            together = trust * covariance + (1 - trust) * before
            return moved, cholesky(together + 1e-6 * jnp.trace(together) * jnp.eye(d))

        mean, factor = jax.vmap(one)(mass, near, mixture.mean, mixture.factor)
        share = (1 - LEAST_SHARE) * jnp.sum(mass, axis=1) + LEAST_SHARE / self.components
        return Mixture(jnp.log(share), mean, factor)
