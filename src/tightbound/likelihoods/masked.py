"""Values and which of them are observed: p(x_observed, s | z, noise), the mask s having a model.

With x_m = push(noise, z) for what is missing, E over noise of p(s | x_o, x_m) is that over
p(x_m|z): the evidence of the model with noise as a latent is p(x_o, s), whatever estimates it.

Reference: Ipsen, Mattei & Frellsen 2021, arXiv 2006.12871 (not-MIWAE; x_m is drawn inside the bound
there; levels are summed over here).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import condition, having, values
from tightbound.core.streams import first_keys
from tightbound.core.supports import Support
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.with_noise import parted
from tightbound.likelihoods.masks import AbstractMask

TINY = 1e-37
"""Least probability of a level whose logarithm is taken."""


class Masked(AbstractExplicit):
    """p(x_o|z) p(s | x_o, x_m), given z and the noise that makes x_m.

    The density of the observed values and of which they are: it sums to one over them and the
    noise, not at each noise, so that there are no draws of x given noise.
    """

    likelihood: AbstractExplicit
    """p(x|z), whose entries are independent given z."""
    mask: AbstractMask
    layered: bool = eqx.field(static=True)
    """Whether z is a tuple of layers."""

    @property
    def offers(self) -> frozenset[str]:
        """The density, and its score where levels have none to lose."""
        return self.likelihood.offers - {"samples"}

    @property
    def support(self) -> str | Support:
        """Where values must lie."""
        return self.likelihood.support

    @property
    def reparameterized(self) -> bool:
        """Whether the likelihood's draws are differentiable."""
        return self.likelihood.reparameterized

    @property
    def fixed_support(self) -> bool:
        """Whether the likelihood's support stays where it is."""
        return self.likelihood.fixed_support

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """None: see the class.

        Raises:
            UsageError: Always, with what can be drawn from.
        """
        del given, key
        raise UsageError(
            "a model of values and their mask has no draws of x given its noise: draw from "
            "tb.models.without_mask(model), which is p(x, z) by itself"
        )

    def log_prob(self, value: Float[Array, " d"], given: Any) -> Float[Array, ""]:
        """Log p(x|z) + log p(s = 1|x) in nats: everything is observed."""
        z, _ = self._parted(given)
        return self.likelihood.log_prob(value, z) + jnp.sum(
            jax.nn.log_sigmoid(self.mask.logits(value))
        )

    def log_prob_observed(
        self, value: Float[Array, " d"], observed: Bool[Array, " d"], given: Any
    ) -> Float[Array, ""]:
        """Log p(x_o|z) + log p(s | x_o, x_m) in nats, where s is `observed`."""
        z, noise = self._parted(given)
        pushed, log_ratio = self.likelihood.push(noise, z)
        filled = jnp.where(observed, value, pushed)
        logits = self.mask.logits(filled)
        each = jax.nn.log_sigmoid(jnp.where(observed, logits, -logits))
        for place, log_p in self._log_levels(filled, z).items():
            summed = jax.nn.logsumexp(log_p)
            each = each.at[place].set(jnp.where(observed[place], each[place], summed))
        return (
            self.likelihood.log_prob_observed(value, observed, z)
            + jnp.sum(each)
            + jnp.sum(jnp.where(observed, 0.0, log_ratio))
        )

    def sample_missing(
        self, value: Float[Array, " d"], observed: Bool[Array, " d"], given: Any, *, key: Any
    ) -> Float[Array, " d"]:
        """What the noise makes of the missing entries; of levels, a draw given that they are."""
        z, noise = self._parted(given)
        filled = jnp.where(observed, value, self.likelihood.push(noise, z)[0])
        levels = self._log_levels(filled, z)
        keys = first_keys(key, len(levels)) if levels else ()
        for (place, log_p), level_key in zip(levels.items(), keys, strict=True):
            drawn = jax.random.categorical(level_key, log_p).astype(filled.dtype)
            filled = filled.at[place].set(jnp.where(observed[place], filled[place], drawn))
        return filled

    def mean_missing(
        self, value: Float[Array, " d"], observed: Bool[Array, " d"], given: Any
    ) -> Float[Array, " d"]:
        """What the noise makes of the missing entries; of levels the most probable one."""
        z, noise = self._parted(given)
        filled = jnp.where(observed, value, self.likelihood.push(noise, z)[0])
        for place, log_p in self._log_levels(filled, z).items():
            likeliest = jnp.argmax(log_p).astype(filled.dtype)
            filled = filled.at[place].set(jnp.where(observed[place], filled[place], likeliest))
        return filled

    def level_probs(self, given: Any) -> dict[int, Float[Array, " _levels"]]:
        """The probability of each level given z and that it is missing, by the column's number."""
        z, noise = self._parted(given)
        found = self._log_levels(self.likelihood.push(noise, z)[0], z)
        return {place: jax.nn.softmax(log_p) for place, log_p in found.items()}

    def mean(self, given: Any) -> Float[Array, " d"]:
        """That of p(x|z)."""
        return self.likelihood.mean(self._parted(given)[0])

    def _log_levels(
        self, filled: Float[Array, " d"], z: Any
    ) -> dict[int, Float[Array, " _levels"]]:
        """Log p(x_j = l|z) p(s_j = 0|x_j = l) of each level l, by the column's number j."""
        found = {}
        for place, probs in self.likelihood.level_probs(z).items():

            def logit(level: Float[Array, ""], place: int = place) -> Float[Array, ""]:
                return self.mask.logits(filled.at[place].set(level))[place]

            logits = jax.vmap(logit)(jnp.arange(probs.shape[0], dtype=filled.dtype))
            found[place] = jnp.log(jnp.maximum(probs, TINY)) + jax.nn.log_sigmoid(-logits)
        return found

    def _parted(self, given: Any) -> tuple[Any, Float[Array, " d"]]:
        """What p(x|z) is given, and the noise."""
        z, noise = parted(values(given), layered=self.layered)
        return having(z, condition(given)), noise
