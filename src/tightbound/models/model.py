"""A latent-variable model p(x, z) = p(z) p(x|z), for one datum and one draw."""

from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, One, condition, having
from tightbound.core.streams import streams
from tightbound.distributions.contracts import prior_given
from tightbound.distributions.markov import whole


class Completed(NamedTuple):
    """A z given a datum as one of the model at all steps; of other models z as it is."""

    z: Any
    given: Any
    """What the likelihood is given at all steps."""
    filled: Datum | None = None
    """The datum with the values behind its end that the model went on by; None where z is all that
    it goes on by."""


class Model(eqx.Module):
    """A prior p(z) and a likelihood p(x|z); z is one array, or a tuple of layers (bottom first).

    Each of them is an `AbstractConditional`. What a method needs of it (a density, its score, or
    draws alone) is said by the method's `requires` and checked, in words, against its `offers`.

    With a condition c all is given it: the model is p(x, z|c) = p(z|c) p(x|z, c), and its evidence
    p(x|c). The prior is given c (most take no notice of it), the likelihood a `Given(z, c)`.
    """

    prior: Any
    likelihood: Any
    condition: int = eqx.field(static=True, default=0, kw_only=True)
    """How many numbers c has; 0 for a model without a condition."""

    def sample(
        self, key: PRNGKeyArray, condition: Float[Array, " c"] | None = None
    ) -> tuple[Float[Array, "*item"], Any]:
        """One draw (x, z) of the joint distribution, given the condition if the model has one.

        Raises:
            UsageError: The prior or the likelihood has no draws.
        """
        prior_key, likelihood_key = streams(key, "model.prior", "model.likelihood")
        try:
            z = self.prior.sample(condition, key=prior_key)
            return self.likelihood.sample(having(z, condition), key=likelihood_key), z
        except NotImplementedError as error:
            parts = f"{type(self.prior).__name__} or {type(self.likelihood).__name__}"
            raise UsageError(
                f"expected draws of the model, and {parts} has none: its sample is not implemented"
            ) from error

    def held_out(
        self, key: PRNGKeyArray, condition: Float[Array, " c"] | None = None
    ) -> tuple[Float[Array, "*item"], Any]:
        """One draw (x, z) to judge a fit by: as `sample`, but where stored pairs are held back."""
        return self.sample(key, condition)

    def sample_observed(
        self,
        key: PRNGKeyArray,
        observed: Bool[Array, "*item"],
        condition: Float[Array, " c"] | None = None,
    ) -> tuple[Float[Array, "*item"], Any]:
        """One draw (x, z) for data of which these values will be known: `sample`, unless so."""
        del observed
        return self.sample(key, condition)

    def sample_mean(self, key: PRNGKeyArray) -> Float[Array, "*item"]:
        """The mean of p(x|z) at a draw of z."""
        return self.likelihood.mean(self.prior.sample(None, key=key))

    def given(self, x: One, z: Any) -> Any:
        """What the likelihood is given: z, with the condition if there is one."""
        return having(z, condition(x))

    def given_step(self, z: Float[Array, " m"], before: Float[Array, " b"]) -> Float[Array, " g"]:
        """What the likelihood of a step is given: its state, unless so."""
        del before
        return z

    def whole(self, x: One, z: Any, key: PRNGKeyArray) -> Completed:
        """A z given a datum at all steps, also behind the end: as the model goes on."""
        z = whole(self.prior, x, z, key)
        return Completed(z, self.given(x, z))

    def log_prior(self, x: One, z: Any) -> Float[Array, ""]:
        """Log p(z) in nats, or log p(z|c) for the datum's condition."""
        return self.prior.log_prob(z, prior_given(self.prior, x))

    def log_likelihood(self, x: One, z: Any) -> Float[Array, ""]:
        """Log p(x|z) in nats; of data with missing values, that of the values that are there."""
        if not isinstance(x, Datum):
            return self.likelihood.log_prob(x, self.given(x, z))
        given = self.given(x, z)
        if x.observed is None:
            return self.likelihood.log_prob(x.x, given)
        return self.likelihood.log_prob_observed(x.x, x.observed, given)

    def log_joint(self, x: One, z: Any) -> Float[Array, ""]:
        """Log p(x, z) = log p(z) + log p(x|z) in nats."""
        return self.log_prior(x, z) + self.log_likelihood(x, z)
