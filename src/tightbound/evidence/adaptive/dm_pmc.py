"""Deterministic-mixture population Monte Carlo: each draw is weighted against all proposals.

Reference: Elvira, Martino, Luengo & Bugallo 2017, Signal Processing 131, arXiv 1607.02758 (DM-PMC
for one draw per proposal, GR-PMC for several, LR-PMC for `resampling="local"`); the weights are
the balance heuristic of Veach & Guibas 1995.
Bias: E[Z-hat] = Z exactly in every round, given the rounds before; the log is low on average.
"""

import math
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least, plain
from tightbound.core.streams import first_keys, streams
from tightbound.distributions.components import log_mean_exp
from tightbound.evidence.adaptive.adaptation import (
    AbstractAdaptation,
    LogDensity,
    Weighted,
    after_warmup,
    check_kernel,
    check_rounds,
    draw_kernel,
    kernel_words,
    log_kernel,
    normalised,
)

RESAMPLING = ("global", "local")


class DMPMC(AbstractAdaptation):
    """Proposals of one scale whose locations are resampled among the weighted draws.

    Args:
        proposals: Locations N.
        each: Draws K of each of them in a round.
        rounds: Rounds in all.
        warmup: Rounds at the beginning whose weights do not count.
        scale: Standard deviation of a proposal, relative to the start's.
        dof: Degrees of freedom of Student-t proposals; None for normal ones.
        resampling: "global": among all N K draws; "local": each proposal among its own K, which
            keeps them apart.

    Raises:
        UsageError: Numbers outside their range, or an unknown way of resampling.
    """

    proposals: int = eqx.field(static=True, converter=plain, default=100)
    each: int = eqx.field(static=True, converter=plain, default=5)
    rounds: int = eqx.field(static=True, converter=plain, default=20)
    warmup: int = eqx.field(static=True, converter=plain, default=10)
    scale: float = eqx.field(static=True, default=0.3)
    dof: float | None = eqx.field(static=True, default=None)
    resampling: str = eqx.field(static=True, default="global")

    def __check_init__(self) -> None:
        """Refuses numbers outside their range."""
        at_least(1, proposals=self.proposals, each=self.each)
        check_rounds(self.rounds, self.warmup)
        check_kernel(self.dof)
        if not self.scale > 0:
            raise UsageError(f"expected a scale above 0, got {self.scale}")
        if self.resampling not in RESAMPLING:
            raise UsageError(
                f"expected resampling out of {', '.join(RESAMPLING)}, got {self.resampling!r}"
            )

    @property
    def kind(self) -> str:
        """A lower bound."""
        return "lower"

    @property
    def words(self) -> str:
        """The settings."""
        return (
            f"deterministic-mixture PMC: {self.proposals} {kernel_words(self.dof)} proposals of "
            f"scale {self.scale:g} with {self.each} draws each, {self.rounds} rounds "
            f"({self.warmup} of them warm-up), {self.resampling} resampling"
        )

    @property
    def draws(self) -> int:
        """Those after the warm-up."""
        return self.proposals * self.each * (self.rounds - self.warmup)

    @property
    def at_once(self) -> int:
        """One round's draws."""
        return self.proposals * self.each

    def run(
        self, log_density: LogDensity, first: Float[Array, "s d"], key: PRNGKeyArray
    ) -> Weighted:
        """All rounds for one datum."""
        log_scale = math.log(self.scale)

        def mixture(u: Float[Array, " d"], locations: Float[Array, "p d"]) -> Float[Array, ""]:
            each = log_kernel(u[None] - locations, self.dof, log_scale)
            return log_mean_exp(each)

        def one(locations: Float[Array, "p d"], key: PRNGKeyArray) -> tuple[Any, Any]:
            walk_key, resample_key = streams(key, "dm_pmc.walk", "dm_pmc.resample")
            walk = draw_kernel(walk_key, (self.proposals, self.each, locations.shape[1]), self.dof)
            by_proposal = locations[:, None] + self.scale * walk
            u = by_proposal.reshape(-1, locations.shape[1])
            log_q = jax.vmap(mixture, in_axes=(0, None))(u, locations)
            log_w = jax.vmap(log_density)(u) - log_q
            if self.resampling == "global":
                kept = jax.random.choice(
                    resample_key, len(u), (self.proposals,), p=normalised(log_w)
                )
                return u[kept], (u, log_w)
            weights = jax.vmap(normalised)(log_w.reshape(self.proposals, self.each))
            keys = first_keys(resample_key, self.proposals)
            pick = jax.vmap(lambda key, own, p: jax.random.choice(key, own, p=p))
            return pick(keys, by_proposal, weights), (u, log_w)

        start_key, key = streams(key, "dm_pmc.start", "dm_pmc.rounds")
        locations = jax.random.choice(start_key, first, (self.proposals,))
        _, (u, log_w) = jax.lax.scan(one, locations, first_keys(key, self.rounds))
        return after_warmup(u, log_w, self.warmup)
