"""A latent-variable model p(x, z) = p(z) p(x|z), for one datum and one draw."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, One
from tightbound.core.streams import streams


class Model(eqx.Module):
    """A prior p(z) and a likelihood p(x|z); z is one array, or a tuple of layers (bottom first).

    Each of them is an `AbstractConditional`. What a method needs of it (a density, its score, or
    draws alone) is said by the method's `requires` and checked, in words, against its `offers`.
    """

    prior: Any
    likelihood: Any

    def sample(self, key: PRNGKeyArray) -> tuple[Float[Array, "*item"], Any]:
        """One draw (x, z) of the joint distribution.

        Raises:
            UsageError: The prior or the likelihood has no draws.
        """
        prior_key, likelihood_key = streams(key, "model.prior", "model.likelihood")
        try:
            z = self.prior.sample(None, key=prior_key)
            return self.likelihood.sample(z, key=likelihood_key), z
        except NotImplementedError as error:
            parts = f"{type(self.prior).__name__} or {type(self.likelihood).__name__}"
            raise UsageError(
                f"expected draws of the model, and {parts} has none: its sample is not implemented"
            ) from error

    def log_likelihood(self, x: One, z: Any) -> Float[Array, ""]:
        """Log p(x|z) in nats; of data with missing values, that of the values that are there."""
        if isinstance(x, Datum):
            return self.likelihood.log_prob_observed(x.x, x.observed, z)
        return self.likelihood.log_prob(x, z)

    def log_joint(self, x: One, z: Any) -> Float[Array, ""]:
        """Log p(x, z) = log p(z) + log p(x|z) in nats."""
        return self.prior.log_prob(z, None) + self.log_likelihood(x, z)
