"""Population Monte Carlo: particles move by random walks of several scales and are resampled.

Reference: Cappe, Guillin, Marin & Robert 2004, J. Comput. Graph. Stat. 13(4); Douc, Guillin, Marin
& Robert 2007, Ann. Stat. 35(1) (a particle's weight is against the mixture of its own kernels).
Bias: E[Z-hat] = Z exactly in every round, given the rounds before; the log is low on average. The
weights may have a large variance: `DMPMC` has a smaller one for more arithmetic.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least, plain
from tightbound.core.streams import first_keys, streams
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

LEAST_SHARE = 0.05
"""Share of the particles that is spread over all scales, so that none dies out."""


class PMC(AbstractAdaptation):
    """Population Monte Carlo with random walks.

    Args:
        particles: Locations, each with one draw a round.
        rounds: Rounds in all.
        warmup: Rounds at the beginning whose weights do not count.
        scales: Standard deviations of the random walks, relative to the start's. How often each is
            used follows the weights that it has earned.
        dof: Degrees of freedom of Student-t walks; None for normal ones.

    Raises:
        UsageError: Numbers outside their range.
    """

    particles: int = eqx.field(static=True, converter=plain, default=500)
    rounds: int = eqx.field(static=True, converter=plain, default=20)
    warmup: int = eqx.field(static=True, converter=plain, default=10)
    scales: tuple[float, ...] = eqx.field(static=True, default=(0.1, 0.3, 1.0))
    dof: float | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        """Refuses numbers outside their range."""
        at_least(2, particles=self.particles)
        check_rounds(self.rounds, self.warmup)
        check_kernel(self.dof)
        if not self.scales or not all(scale > 0 for scale in self.scales):
            raise UsageError(f"expected scales above 0, got {self.scales}")

    @property
    def kind(self) -> str:
        """A lower bound."""
        return "lower"

    @property
    def words(self) -> str:
        """The settings."""
        return (
            f"population Monte Carlo: {self.particles} particles, {self.rounds} rounds "
            f"({self.warmup} of them warm-up), {kernel_words(self.dof)} walks of scales "
            f"{', '.join(f'{scale:g}' for scale in self.scales)}"
        )

    @property
    def draws(self) -> int:
        """Those after the warm-up."""
        return self.particles * (self.rounds - self.warmup)

    @property
    def at_once(self) -> int:
        """One round's draws."""
        return self.particles

    def run(
        self, log_density: LogDensity, first: Float[Array, "s d"], key: PRNGKeyArray
    ) -> Weighted:
        """All rounds for one datum."""
        log_scales = jnp.log(jnp.array(self.scales))
        count = len(self.scales)

        def one(state: Any, key: PRNGKeyArray) -> tuple[Any, Any]:
            locations, share = state
            scale_key, walk_key, resample_key = streams(
                key, "pmc.scale", "pmc.walk", "pmc.resample"
            )
            which = jax.random.categorical(scale_key, jnp.log(share), shape=(self.particles,))
            walk = draw_kernel(walk_key, locations.shape, self.dof)
            step = jnp.exp(log_scales)[which][:, None] * walk
            u = locations + step
            by_scale = jax.vmap(lambda s: log_kernel(step, self.dof, s), out_axes=1)(log_scales)
            by_scale = by_scale + jnp.log(share)[None]
            log_q = jax.nn.logsumexp(by_scale, axis=1)
            log_w = jax.vmap(log_density)(u) - log_q
            weight = normalised(log_w)
            earned = weight @ jnp.exp(by_scale - log_q[:, None])
            share = (1 - LEAST_SHARE) * earned + LEAST_SHARE / count
            kept = jax.random.choice(resample_key, self.particles, (self.particles,), p=weight)
            return (u[kept], share), (u, log_w)

        start_key, key = streams(key, "pmc.start", "pmc.rounds")
        locations = jax.random.choice(start_key, first, (self.particles,))
        state = locations, jnp.full(count, 1 / count)
        _, (u, log_w) = jax.lax.scan(one, state, first_keys(key, self.rounds))
        return after_warmup(u, log_w, self.warmup)
