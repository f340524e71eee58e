"""The filtering bound: the log of a particle filter's estimate of p(x), which resamples as it goes.

Formula: log prod_t sum_i W_{t-1,i} p(z_{t,i}|z_{t-1,i}) p(x_t|z_{t,i}) / q(z_{t,i}|z_{t-1,i}, x)
Direction: lower.
Reference: Maddison et al. 2017, arXiv 1705.09279, algorithm 1; Naesseth et al. 2018, arXiv
1705.11140; Le et al. 2018, arXiv 1705.10306.
Bias: the bound is below log p(x) by about half the variance of log p-hat(x). The gradient leaves
out the terms of the resampling, whose variance would drown the rest, and so is a biased one of the
bound: all three papers take it.
"""

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Items, One
from tightbound.models.particle_filter import particles, share_of
from tightbound.objectives.compatibility import check_requires
from tightbound.objectives.contract import (
    About,
    AbstractObjective,
    Params,
    Requires,
    Step,
    differentiated_bound,
)

STEPS = Requires(("steps",), ("steps",), ("steps",))
ABOUT = About(example={"k": 4}, requires=STEPS)


class FIVO(AbstractObjective):
    """Log p-hat(x) of a particle filter, differentiated with its ancestors held fixed."""

    k: int = eqx.field(static=True)
    resampling: str = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """A lower bound."""
        return "lower"

    @property
    def draws(self) -> int:
        """Particles of each sequence."""
        return self.k

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return f"fivo(k={self.k}, resampling={self.resampling!r})"

    @property
    def requires(self) -> Requires:
        """Parts that are made step by step."""
        return STEPS

    @property
    def holes(self) -> bool:
        """Values may be missing, and sequences end."""
        return True

    def check(self, params: Params) -> None:
        """Needs parts with steps, as many in each, and a q whose draws can be differentiated."""
        check_requires(self, params)
        steps = {params.model.prior.steps, params.model.likelihood.steps, params.posterior.steps}
        if len(steps) > 1:
            raise UsageError(
                f"{self.description} needs as many steps of prior, likelihood and posterior, got "
                f"{sorted(steps)}"
            )
        if not params.posterior.reparameterized:
            raise UsageError(
                f"{self.description} differentiates through the draws, and those of "
                f"{type(params.posterior).__name__} are discrete"
            )

    def bound(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The bound per sequence in nats."""
        how = {"k": self.k, "share": share_of(self.resampling)}

        def one(x: One, key: PRNGKeyArray) -> Float[Array, ""]:
            return particles(params.model, params.posterior, x, key, **how).log_evidence

        return jax.vmap(one)(items.data, keys)

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients of the negative mean bound, without resampling's part, and the bound."""
        return differentiated_bound(self, params, items, keys), state


def fivo(k: int, resampling: str = "ess 0.5") -> FIVO:
    """The filtering variational objective with k particles; nats per sequence, a lower bound.

    For models and posteriors with steps, as `tb.sequence_model` makes them. "st_l" is the posterior
    that knows no more than a filter does; the others are as valid.

    Args:
        k: Particles per sequence; without resampling the bound is that of `iwae(k)`.
        resampling: "ess SHARE" (when the effective number of particles is below SHARE * k),
            "always" (before every step) or "never".

    Raises:
        UsageError: k < 1, or another way to resample.
    """
    at_least(1, k=k)
    share_of(resampling)
    return FIVO(k, resampling)
