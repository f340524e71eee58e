"""Neural posterior estimation: the posterior learns from draws of the model alone, by likelihood.

Formula: log q(z|x) at (x, z) from the model
Direction: none (its mean is the negative entropy of p(z|x) less KL(p(z|x) || q(z|x))).
Reference: Papamakarios & Murray 2016, arXiv 1605.06376; Greenberg, Nonnenmacher & Macke 2019,
arXiv 1905.07488 (with flows); Hinton, Dayan, Frey & Neal 1995, Science 268:1158 (the sleep phase).
Bias: none for KL(p(z|x) || q(z|x)) averaged over x from the model. It covers all modes, and puts
what q cannot follow between them; pairs that are stored and few are learned by heart.
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
from tightbound.objectives.contract import About, AbstractObjective, Params, Requires, Step

NEEDS = Requires(("samples",), ("samples",), ("density",), learns=False)
ABOUT = About(requires=NEEDS)


class NPE(AbstractObjective):
    """The sleep phase of wake-sleep by itself: it asks for no density of the model."""

    @property
    def kind(self) -> str:
        """No bound."""
        return "none"

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return "npe()"

    @property
    def requires(self) -> Requires:
        """Draws of the model, and the density of the posterior."""
        return NEEDS

    def check(self, params: Params) -> None:
        """Needs a posterior whose density is where the prior draws."""
        check_requires(self, params)
        if not params.posterior.fixed_support:
            raise UsageError(
                "npe() takes log q(z|x) at draws of the prior, where a posterior whose support "
                "moves with x has none: use elbo() or iwae() with it"
            )
        dreams, followed = params.model.prior.support, params.posterior.support
        if set(dreams.split(", ")) != set(followed.split(", ")):
            raise UsageError(
                f"npe() takes log q(z|x) at draws of the prior: expected both on the same support, "
                f"got {followed} for the posterior and {dreams} for the prior"
            )

    def bound(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """Log q(z|x) in nats of a pair for each datum, of those that are held back if any are."""
        del state
        return _log_q(params.posterior, *_pairs(params.model.held_out, keys))

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients of the negative mean of log q(z|x) over a pair for each datum, and each."""
        del items
        x, z = _pairs(params.model.sample, keys)

        def loss(posterior: Any) -> tuple[Float[Array, ""], Float[Array, " n"]]:
            each = _log_q(posterior, x, z)
            return -jnp.mean(each), each

        (_, each), grads = eqx.filter_value_and_grad(loss, has_aux=True)(params.posterior)
        nothing = jax.tree.map(jnp.zeros_like, eqx.filter(params.model, eqx.is_inexact_array))
        return Step(Params(nothing, grads), each), state


def _pairs(draw: Any, keys: Key[Array, " n"]) -> tuple[Float[Array, "n *item"], Any]:
    def pair(key: PRNGKeyArray) -> tuple[Float[Array, "*item"], Any]:
        return draw(stream(key, "npe.pair"))

    return jax.vmap(pair)(keys)


def _log_q(posterior: Any, x: Float[Array, "n *item"], z: Any) -> Float[Array, " n"]:
    return jax.vmap(lambda x, z: posterior.log_prob(z, x))(x, z)


def npe() -> NPE:
    """Log q(z|x) at pairs (x, z) that the model draws, for simulators; nats, no bound.

    Of the data only their number is used: a step takes a fresh pair for each datum of the
    minibatch, or a stored one. Unlike objectives that draw from q it cannot lose a mode: one in
    which q has no mass costs it an infinite divergence. The model's own parameters do not move.

    Where pairs are stored, hold some back (`tb.models.simulated(z, x, held=1000)`), and pass
    `validation=` and `early_stopping=` to `tb.fit`: the validation number is that of pairs that
    were held back.
    """
    return NPE()
