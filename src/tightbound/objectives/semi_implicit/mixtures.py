"""What the semi-implicit objectives share: the density of h(z|x) with its noise drawn.

Reference: Yin & Zhou 2018, arXiv 1805.11183, section 3 and algorithm 1.
Bias: with the noise that made z among the K + 1, log h(z|x) is overestimated in the mean; with
fresh noise alone it is underestimated. Both vanish as K grows.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import One
from tightbound.core.streams import first_keys, stream, streams
from tightbound.distributions import AbstractSemiImplicit
from tightbound.distributions.components import (
    fresh_noise,
    log_components,
    log_mean_exp,
)
from tightbound.objectives.compatibility import check_requires
from tightbound.objectives.contract import AbstractObjective, Params, Requires

MIXTURE = Requires(("density",), ("density",), ("mixture",))
"""What they need unless they say otherwise."""


class Draws(NamedTuple):
    """Draws of a semi-implicit q(z|x) for one datum, and noise to measure their density with."""

    mixing: Any
    """The noise behind each draw: leading axis `samples`."""
    z: Any
    """The draws: leading axis `samples`."""
    fresh: Any
    """Fresh noise that all draws share: leading axis `k`."""


def draw(posterior: AbstractSemiImplicit, x: One, key: PRNGKeyArray, samples: int, k: int) -> Draws:
    """Draws z and fresh noise, both differentiable in the parameters."""

    def one(key: PRNGKeyArray) -> tuple[Any, Any]:
        mixing_key, key = streams(key, "mixtures.mixing", "mixtures.z")
        mixing = posterior.sample_mixing(x, key=mixing_key)
        return mixing, posterior.sample_given(mixing, x, key=key)

    mixing, z = jax.vmap(one)(first_keys(key, samples))
    return Draws(mixing, z, fresh_noise(posterior, x, stream(key, "mixtures.fresh"), k))


def log_h_with_own(
    posterior: AbstractSemiImplicit, draws: Draws, x: One
) -> Float[Array, " samples"]:
    """Log h(z|x) of each draw in nats, the noise that made it among the k + 1 components."""

    def one(mixing: Any, z: Any) -> Float[Array, ""]:
        own = posterior.log_prob_given(z, mixing, x)
        fresh = log_components(posterior, z, draws.fresh, x)
        return log_mean_exp(jnp.concatenate([own[None], fresh]))

    return jax.vmap(one)(draws.mixing, draws.z)


def log_weights_with_own(params: Params, draws: Draws, x: One) -> Float[Array, " samples"]:
    """Log p(x, z) - log h(z|x) of each draw in nats: in the mean a lower bound on the ELBO."""
    log_joint = jax.vmap(params.model.log_joint, in_axes=(None, 0))(x, draws.z)
    return log_joint - log_h_with_own(params.posterior, draws, x)


class AbstractSemiImplicitObjective(AbstractObjective):
    """A lower bound at `samples` draws of a semi-implicit q(z|x), differentiated through them."""

    samples: eqx.AbstractVar[int]

    @property
    def kind(self) -> str:
        """What is reported is a lower bound, for every K."""
        return "lower"

    @property
    def requires(self) -> Requires:
        """Densities of the model, and an explicit layer given noise, unless it says otherwise."""
        return MIXTURE

    @property
    def draws(self) -> int:
        """Draws of z per datum behind the reported number."""
        return self.samples

    @property
    def holes(self) -> bool:
        """Values may be missing."""
        return True

    def check(self, params: Params) -> None:
        """Refuses parts that lack something, and layers whose draws cannot be differentiated.

        Raises:
            UsageError: What is missing, or which part has discrete draws.
        """
        check_requires(self, params)
        if not params.posterior.reparameterized:
            raise UsageError(
                f"{self.description} differentiates through the draws, and those of the explicit "
                f"layer of {type(params.posterior).__name__} are discrete; use a continuous layer"
            )
