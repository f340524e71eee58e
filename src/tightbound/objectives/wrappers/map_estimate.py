"""Any objective plus a log-prior on the parameters: maximum a posteriori, as AEVB was trained.

Formula: (N/M) sum over the minibatch of the objective, plus log p(theta), in all over N
Direction: that of the objective, which is reported without the log-prior.
Reference: Kingma & Welling 2013, arXiv 1312.6114, eq. 8 and section 5 (p(theta) = N(0, I) on all
parameters, generative and variational).
Bias: the reported number is the objective's own; the gradient adds that of log p(theta) / N.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Items
from tightbound.objectives.contract import About, AbstractObjective, Params, Step
from tightbound.objectives.wrappers.wrapper import Wrapper


class MAP(Wrapper):
    """The gradients of `objective`, and of log p(theta) / n beside them."""

    objective: AbstractObjective
    n: int = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    log_prior: Callable[[Params], Float[Array, ""]] | None = None

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        own = "" if self.log_prior is None else ", log_prior=..."
        return f"map_estimate({self.objective.description}, n={self.n}, scale={self.scale}{own})"

    @property
    def one_bound(self) -> bool:
        """No: a parameter that both parts hold would have its prior twice."""
        return False

    def step(
        self, params: Params, state: Any, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, Any]:
        """Gradients of the negative mean of the objective, less those of log p(theta) / n."""
        step, state = self.objective.step(params, state, items, keys)
        return self._with_prior(params, step), state

    def _with_prior(self, params: Params, step: Step) -> Step:
        log_prior = self._normal if self.log_prior is None else self.log_prior
        of_prior = eqx.filter_grad(lambda params: -log_prior(params) / self.n)(params)
        return step._replace(grads=jax.tree.map(jnp.add, step.grads, of_prior))

    def _normal(self, params: Params) -> Float[Array, ""]:
        """Log N(parameters; 0, scale^2 I) up to a constant."""
        leaves = jax.tree.leaves(eqx.filter(params, eqx.is_inexact_array))
        squares = jnp.stack([jnp.sum(leaf**2) for leaf in leaves])
        return -0.5 * jnp.sum(squares) / self.scale**2


ABOUT = About(requires=None)


def map_estimate(
    objective: AbstractObjective,
    n: int,
    scale: float = 1.0,
    log_prior: Callable[[Any], Float[Array, ""]] | None = None,
) -> MAP:
    """The objective in nats with a prior on all parameters, N(0, scale^2) unless told otherwise.

    Args:
        objective: What the data say.
        n: Number of training data N, over which the one log-prior is shared out.
        scale: Standard deviation of the normal prior; 1 is AEVB's.
        log_prior: Any other log p(theta) in nats, as a function of the parts (`model` and
            `posterior`); then `scale` is not used.

    Raises:
        UsageError: n < 1, or a scale that is not positive.
    """
    at_least(1, n=n)
    if not scale > 0:
        raise UsageError(f"expected scale > 0, got {scale}")
    return MAP(objective, n, float(scale), log_prior)
