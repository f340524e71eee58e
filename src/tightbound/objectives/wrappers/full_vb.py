"""Variational Bayes over the model's parameters as well as over its latent variables.

Formula: E_q(theta)[objective given theta] - KL(q(theta) || p_alpha(theta)) / N
Direction: lower where the objective is a lower bound: on log p_alpha(X) / N.
Reference: Kingma & Welling 2013, arXiv 1312.6114, appendix F, eq. 21, 22 and 24 (over N, with the
divergence of theta in closed form).
Bias: below log p_alpha(X) / N by the objective's own gap averaged over q(theta), and by
KL(q(theta) || p_alpha(theta|X)) / N. One theta is drawn for a minibatch, not for each datum:
the mean stays, the variance is larger, and the products stay matrix products.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Items
from tightbound.core.streams import stream
from tightbound.models import Bayesian, Model
from tightbound.objectives.contract import About, AbstractObjective, Params, Step
from tightbound.objectives.wrappers.wrapper import Wrapper


class FullVB(Wrapper):
    """An objective at a draw of theta, less the divergence of q(theta), per datum."""

    objective: AbstractObjective
    n: int = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """A lower bound, if the objective is one."""
        return "lower" if self.objective.kind == "lower" else "none"

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return f"full_vb({self.objective.description}, n={self.n})"

    def check(self, params: Params) -> None:
        """Needs a distribution over models, and what the objective needs of one of them."""
        if not isinstance(params.model, Bayesian):
            raise UsageError(
                "full_vb needs a distribution over models: expected one from "
                f"tb.models.bayesian(model), got {type(params.model).__name__}"
            )
        self.objective.check(_plugged_in(params))

    def init(self, params: Params, n: int, key: PRNGKeyArray) -> Any:
        """What the objective keeps, for the plug-in model."""
        return self.objective.init(_plugged_in(params), n, key)

    def bound(
        self, params: Params, state: Any, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The bound per datum in nats, at one draw of theta for all of them."""
        drawn = Params(_draw(params.model, keys), params.posterior)
        return self.objective.bound(drawn, state, items, keys) - params.model.kl() / self.n

    def step(
        self, params: Params, state: Any, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, Any]:
        """Gradients of the negative mean bound, and the bound per datum in nats."""
        arrays, static = eqx.partition(params.model, eqx.is_inexact_array)
        theta, pull = jax.vjp(
            lambda arrays: eqx.filter(
                _draw(eqx.combine(arrays, static), keys), eqx.is_inexact_array
            ),
            arrays,
        )
        drawn = Params(eqx.combine(theta, static.mean), params.posterior)
        step, state = self.objective.step(drawn, state, items, keys)
        (of_draw,) = pull(eqx.filter(step.grads.model, eqx.is_inexact_array))
        kl, of_kl = eqx.filter_value_and_grad(lambda model: model.kl() / self.n)(params.model)
        of_model = jax.tree.map(jnp.add, of_draw, of_kl)
        return Step(Params(of_model, step.grads.posterior), step.bound - kl, step.info), state


def _plugged_in(params: Params) -> Params:
    return Params(params.model.mean, params.posterior)


def _draw(model: Bayesian, keys: Key[Array, " n"]) -> Model:
    """One model for the whole minibatch."""
    return model.draw(stream(keys[0], "full_vb.theta"))


ABOUT = About(requires=None)


def full_vb(objective: AbstractObjective, n: int) -> FullVB:
    """Variational Bayes over theta around any objective; nats per datum, a lower bound.

    `tb.fit(tb.models.bayesian(model), posterior, x, objective=full_vb(elbo(), n=len(x)))` fits
    means and standard deviations of all parameters, and the posterior of z beside them.

    Args:
        objective: What the data say, given theta.
        n: Number of training data N, over which the one divergence of theta is shared out.

    Raises:
        UsageError: n < 1.
    """
    at_least(1, n=n)
    return FullVB(objective, n)
