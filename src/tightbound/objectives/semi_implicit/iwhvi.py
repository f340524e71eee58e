"""Importance weighted hierarchical variational inference: SIVI with a learned reverse network.

Formula: log p(x, z) - log (1/(K+1)) sum_{k=0..K} q(z, e_k|x) / tau(e_k|x, z), e_1..K ~ tau(e|x, z)
Direction: lower (of the ELBO of h, and so of log p(x)).
Reference: Sobolev & Vetrov 2019, arXiv 1905.03290.
Bias: low, by less the nearer tau is to q(e|x, z), and vanishing as K grows.

e_0 is the noise that made z. With tau(e|x, z) = q(e) this is `sivi(k)`, which is where the network
starts; with tau = q(e|x, z) it is the ELBO itself for every K; with K = 0 it is the bound of
hierarchical variational models.
The gradient is the total derivative of what is reported, in model, posterior and tau at once: the
posterior's runs through z, the density and, since tau is given z, the draws of tau too. tau climbs
the same bound by an Adam of its own. Its gradient is not the doubly reparameterised one of the
authors: the same in the mean, and noisier for large K.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data, Items, One
from tightbound.core.streams import first_keys, stream
from tightbound.distributions import AbstractExplicit, DiagonalNormal
from tightbound.distributions.components import log_mean_exp
from tightbound.models.shapes import like_z
from tightbound.models.standardization import inside, seen_width
from tightbound.networks import MLP, Dense, flat
from tightbound.objectives.contract import About, Params, Step
from tightbound.objectives.semi_implicit.mixtures import (
    MIXTURE,
    AbstractSemiImplicitObjective,
    draw,
)


class Reverse(NamedTuple):
    """What is kept between steps: the reverse network and its optimiser's state."""

    tau: DiagonalNormal
    """tau(e|x, z), given x and z behind one another."""
    optimizer: Any


class IWHVI(AbstractSemiImplicitObjective):
    """The bound with K draws of tau beside the noise that made z."""

    k: int = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    hidden: tuple[int, ...] = eqx.field(static=True)
    learning_rate: float = eqx.field(static=True)

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return (
            f"iwhvi(k={self.k}, samples={self.samples}, hidden={self.hidden}, "
            f"learning_rate={self.learning_rate})"
        )

    def check(self, params: Params) -> None:
        """Needs a semi-implicit posterior whose noise is one real vector."""
        super().check(params)
        if not hasattr(params.posterior, "noise"):
            raise UsageError(
                f"{self.description} fits a normal tau(e|x, z): expected a posterior whose noise "
                f"is one vector, as SemiImplicit has it, got {type(params.posterior).__name__}"
            )

    def init(self, params: Params, n: int, key: PRNGKeyArray) -> Reverse:
        """A network that gives the noise's own N(0, I) for every x and z: SIVI's bound."""
        del n
        model, noise = params.model, params.posterior.noise
        n_in = seen_width(model) + sum(leaf.size for leaf in jax.tree.leaves(like_z(model)))
        trunk = MLP.glorot(n_in, self.hidden, activation="silu", key=key)
        last = (n_in, *self.hidden)[-1]
        head = Dense(jnp.zeros((last, noise)), jnp.zeros(noise))
        # The two heads are arrays of their own, which a step may overwrite in place.
        tau = DiagonalNormal(trunk, head, jax.tree.map(jnp.copy, head))
        return Reverse(tau, self._optimizer.init(eqx.filter(tau, eqx.is_inexact_array)))

    def step(
        self, params: Params, state: Reverse, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, Reverse]:
        """The step with the network as it is, and the network after a step of its own."""
        (grads, of_tau), bound = self._gradients(params, state.tau, items.data, keys)
        # Optax mixes integers and floats, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer = self._optimizer.update(of_tau, state.optimizer)
            tau = eqx.apply_updates(state.tau, updates)
        return Step(grads, bound), Reverse(tau, optimizer)

    def bound(
        self, params: Params, state: Reverse, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The bound per datum with the network as it is, in nats."""
        return self.bound_with(params, state.tau, items.data, keys)

    def bound_with(
        self,
        params: Params,
        tau: AbstractExplicit,
        x: Data,
        keys: Key[Array, " n"],
    ) -> Float[Array, " n"]:
        """The bound per datum in nats for any tau(e|x, z), given x and z behind one another."""
        posterior = params.posterior

        def of_draw(x: One, own: Any, z: Any, key: PRNGKeyArray) -> Float[Array, ""]:
            given = flat((inside(params.model, x), z))

            def log_ratio(mixing: Any) -> Float[Array, ""]:
                log_q = posterior.log_prob_given(z, mixing, x)
                log_q = log_q + posterior.log_prob_mixing(mixing, x)
                return log_q - tau.log_prob(mixing, given)

            reverse = jax.vmap(lambda key: tau.sample(given, key=key))
            drawn = reverse(first_keys(key, self.k))
            ratios = jax.vmap(log_ratio)(jnp.concatenate([own[None], drawn]))
            return params.model.log_joint(x, z) - log_mean_exp(ratios)

        def one(x: One, key: PRNGKeyArray) -> Float[Array, ""]:
            draws = draw(posterior, x, key, self.samples, 0)
            reverse_keys = first_keys(stream(key, "iwhvi.reverse"), self.samples)
            each = jax.vmap(of_draw, in_axes=(None, 0, 0, 0))
            return jnp.mean(each(x, draws.mixing, draws.z, reverse_keys))

        return jax.vmap(one)(x, keys)

    def _gradients(
        self, params: Params, tau: AbstractExplicit, x: Data, keys: Key[Array, " n"]
    ) -> tuple[tuple[Params, Any], Float[Array, " n"]]:
        """Descent gradients of parts and tau, and the bound per datum in nats."""

        def loss(both: tuple[Params, Any]) -> tuple[Float[Array, ""], Float[Array, " n"]]:
            bound = self.bound_with(*both, x, keys)
            return -jnp.mean(bound), bound

        (_, bound), grads = eqx.filter_value_and_grad(loss, has_aux=True)((params, tau))
        return grads, bound

    @property
    def _optimizer(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate)


ABOUT = About(example={"k": 4}, requires=MIXTURE)


def iwhvi(
    k: int,
    samples: int = 1,
    hidden: tuple[int, ...] = (64, 64),
    learning_rate: float = 1e-3,
) -> IWHVI:
    """The ELBO of a semi-implicit q(z|x) by a learned reverse network; nats, lower bound.

    Each draw of z has k draws of tau of its own: a step costs (k + 1) samples evaluations of the
    network of q for each datum. Fragile where the reverse conditional has several modes, since
    tau is a diagonal normal: the bound then needs as large a k as `sivi` does. With the network
    that it starts from it is SIVI's bound.

    Args:
        k: Draws of tau for each draw of z.
        samples: Draws of z per datum.
        hidden: Widths of the hidden layers of tau.
        learning_rate: That of the Adam that fits tau.

    Raises:
        UsageError: k < 0, a count below one, or a rate that is not above 0.
    """
    at_least(0, k=k)
    at_least(1, samples=samples, **{f"hidden[{i}]": width for i, width in enumerate(hidden)})
    if not learning_rate > 0:
        raise UsageError(f"expected learning_rate > 0, got {learning_rate}")
    return IWHVI(k, samples, tuple(hidden), float(learning_rate))
