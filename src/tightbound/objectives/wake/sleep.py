"""Wake and sleep phases: the model follows a bound on data, the posterior what the model dreams.

Reference: Hinton, Dayan, Frey & Neal 1995, Science 268:1158; Bornschein & Bengio 2014,
arXiv 1406.2751. No gradient flows through a draw, so that latents may be discrete.
Bias: the reported bound has its own; sleep follows KL(p(z|x) || q(z|x)) averaged over x from the
model, without bias, and no single objective stands behind both phases.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import Items
from tightbound.core.streams import stream
from tightbound.objectives.compatibility import check_requires
from tightbound.objectives.contract import AbstractObjective, Params, Requires, Step
from tightbound.objectives.multisample.multisample import Multisample

NEEDS = Requires(("samples", "density"), ("samples", "density"), ("samples", "density"))


class Sleep(AbstractObjective):
    """The model's part of `wake`, and for the posterior sleep alone or the mean of both."""

    call: str = eqx.field(static=True)
    wake: Multisample
    both: bool = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """That of the bound on data."""
        return self.wake.kind

    @property
    def requires(self) -> Requires:
        """All densities, and draws of the model for its dreams."""
        return NEEDS

    @property
    def draws(self) -> int:
        """Draws of z per datum behind the reported number."""
        return self.wake.draws

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return self.call

    @property
    def holes(self) -> bool:
        """Values may be missing."""
        return True

    def check(self, params: Params) -> None:
        """Needs the densities of posterior and model, and a model that can be sampled."""
        check_requires(self, params)
        self.wake.check(params)
        dreams, followed = params.model.prior.support, params.posterior.support
        if set(dreams.split(", ")) != set(followed.split(", ")):
            raise UsageError(
                f"{self.call} takes log q(z|x) at draws of the prior: expected both on the same "
                f"support, got {followed} for the posterior and {dreams} for the prior"
            )

    def bound(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The bound on data per datum, in nats."""
        return self.wake.bound(params, state, items, keys)

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients of both phases, one dream per datum, and the bound per datum in nats."""
        (grads, bound, info), state = self.wake.step(params, state, items, keys)
        sleep = _sleep(params, items, keys)
        if self.both:
            sleep = jax.tree.map(lambda a, b: 0.5 * (a + b), grads.posterior, sleep)
        return Step(Params(grads.model, sleep), bound, info), state


def _sleep(params: Params, items: Items, keys: Key[Array, " n"]) -> Any:
    """Descent gradient of -log q(z|x) at draws (x, z) of the model: its mean over the keys.

    A dream has the condition of the datum whose key it has, and of its values those are missing
    that are missing of that datum.
    """

    def dream(
        key: PRNGKeyArray, condition: Float[Array, " c"] | None
    ) -> tuple[Float[Array, "*item"], Any]:
        return params.model.sample(stream(key, "sleep.dream"), condition)

    x, z = jax.vmap(dream)(keys, items.condition)
    known = x if items.observed is None else jnp.where(items.observed, x, 0.0)
    seen = items._replace(x=known).data

    def loss(posterior: Any) -> Float[Array, ""]:
        return -jnp.mean(jax.vmap(lambda x, z: posterior.log_prob(z, x))(seen, z))

    return eqx.filter_grad(loss)(params.posterior)
