"""What a conditional distribution can do: be simulated, and, if explicit, be evaluated."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import condition
from tightbound.core.streams import streams


class AbstractConditional(eqx.Module):
    """A distribution of one value given one value; `given` is `None` where there is none."""

    @property
    def offers(self) -> frozenset[str]:
        """What it can give: "samples", "density", its "score", "mixture", "components", "steps"."""
        return frozenset({"samples"})

    @property
    def support(self) -> str:
        """Where values must lie: anywhere, unless it says so."""
        return "real"

    @property
    def sees_data(self) -> bool:
        """Whether, as a prior, it is given the datum, for where a sequence ends; no, unless so."""
        return False

    @abc.abstractmethod
    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw, differentiable in the parameters where the family allows it."""


class AbstractImplicit(AbstractConditional):
    """A push-forward of standard normal noise: it can be sampled, and has no known density."""

    noise: eqx.AbstractVar[int]
    """Number of noise dimensions."""

    @abc.abstractmethod
    def push(self, noise: Float[Array, " n_noise"], given: Any) -> Any:
        """The value that this noise becomes."""

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw, differentiable in the parameters."""
        return self.push(jax.random.normal(key, (self.noise,)), given)


class AbstractSemiImplicit(AbstractConditional):
    """A mixture h(z|x) = E q(z|epsilon, x) over noise epsilon: explicit given the noise alone."""

    @property
    def offers(self) -> frozenset[str]:
        """Draws, and the densities of the noise and of a value given the noise."""
        return frozenset({"samples", "mixture"})

    @property
    def reparameterized(self) -> bool:
        """A draw is a differentiable function of the parameters; false for discrete layers."""
        return True

    @abc.abstractmethod
    def sample_mixing(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw epsilon of the noise."""

    @abc.abstractmethod
    def log_prob_mixing(self, mixing: Any, given: Any) -> Float[Array, ""]:
        """Log-density of the noise in nats."""

    @abc.abstractmethod
    def sample_given(self, mixing: Any, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw of the explicit layer, differentiable in the parameters and the noise."""

    @abc.abstractmethod
    def log_prob_given(self, value: Any, mixing: Any, given: Any) -> Float[Array, ""]:
        """Log q(z|epsilon, x) in nats."""

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw of the mixture."""
        mixing_key, key = streams(key, "semi_implicit.mixing", "semi_implicit.z")
        mixing = self.sample_mixing(given, key=mixing_key)
        return self.sample_given(mixing, given, key=key)


class AbstractExplicit(AbstractConditional):
    """A conditional with a density (or a mass), in nats.

    A likelihood of one's own needs `support` and `log_prob` to be fitted and evaluated, and one of
    `sample` and `mean`, whose shape tells the number of columns. `sample` is for bounds from above
    (`tb.sandwich`), for objectives with dreams, and for data that the model makes; `mean` for
    reconstructions and pictures. What asks for one that is not there says so. Priors and posteriors
    need both.
    """

    @property
    def offers(self) -> frozenset[str]:
        """Draws, if it has them, and the density; where that is continuous, its score too."""
        samples = set() if type(self).sample is AbstractExplicit.sample else {"samples"}
        score = {"score"} if self.reparameterized else set()
        return frozenset({"density"} | samples | score)

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw, differentiable in the parameters where the family allows it.

        Raises:
            UsageError: The class defines no draws.
        """
        del given, key
        raise UsageError(f"{type(self).__name__} has no draws: define sample(self, given, *, key)")

    @property
    @abc.abstractmethod
    def support(self) -> str:
        """Where values must lie.

        "binary", "unit" (the closed unit interval), "positive", "real" or "simplex", or a
        `tightbound.core.supports.Support`, which data are checked against; of several layers, all
        that occur.
        """

    @property
    def reparameterized(self) -> bool:
        """A draw is a differentiable function of the parameters; false for discrete families."""
        return True

    @property
    def fixed_support(self) -> bool:
        """The support is the same for all parameters, so that the mean of d log q is zero."""
        return True

    @property
    def independent(self) -> bool:
        """The entries of a value are known to be independent: `log_prob_each` is there."""
        return type(self).log_prob_each is not AbstractExplicit.log_prob_each

    @abc.abstractmethod
    def log_prob(self, value: Any, given: Any) -> Float[Array, ""]:
        """Log-density of one value, in nats."""

    def log_prob_each(self, value: Any, given: Any) -> Any:
        """Log-density of each entry by itself, in nats, which together are `log_prob`.

        Raises:
            UsageError: The entries are not independent of each other, or nothing is known of it.
        """
        del value, given
        raise UsageError(
            f"data have missing values, and {type(self).__name__} does not say how likely those "
            "that are there are by themselves: expected a likelihood with log_prob_each(value, "
            "given), the log-density of every entry, or log_prob_observed(value, observed, given)"
        )

    def log_prob_observed(self, value: Any, observed: Any, given: Any) -> Float[Array, ""]:
        """Log-density of the observed entries of one value in nats, the others integrated out.

        For entries that are independent of each other; a distribution with dependent ones gives
        its own marginal in place of this.
        """
        # What is missing counts nothing, but needs a density for gradients to be numbers.
        inside = value if self.support != "positive" else jnp.where(observed, value, 1.0)
        return jnp.sum(jnp.where(observed, self.log_prob_each(inside, given), 0.0))

    def sample_missing(self, value: Any, observed: Any, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw of the entries that are not observed, given those that are, which stay.

        For entries that are independent of each other; a distribution with dependent ones gives
        its own conditional in place of this.

        Raises:
            UsageError: The entries are not independent of each other, or nothing is known of it.
        """
        self._check_independent()
        return jnp.where(observed, value, self.sample(given, key=key))

    def mean_missing(self, value: Any, observed: Any, given: Any) -> Any:
        """What is expected of the entries that are not observed; those that are stay.

        For entries that are independent of each other, as `sample_missing`.

        Raises:
            UsageError: The entries are not independent of each other, or nothing is known of it.
        """
        self._check_independent()
        return jnp.where(observed, value, self.mean(given))

    def push(self, noise: Any, given: Any) -> tuple[Any, Any]:
        """What standard normal noise becomes, entry by entry, as a differentiable function.

        For entries that are independent of each other. Beside each value x stands the log of
        p(x) |dx / dnoise| / N(noise): 0 where the values are draws of p, and elsewhere what they
        have to be weighted by. Of entries with levels (`level_probs`) both are placeholders.

        Raises:
            UsageError: There is no such function, or nothing is known of it.
        """
        del noise, given
        raise UsageError(
            f"{type(self).__name__} does not say which function of normal noise its values are: "
            "expected a likelihood with push(noise, given), such as those of the names gaussian, "
            "gaussian_scalar, gaussian_column, gaussian_fixed, log_normal and student_t"
        )

    def normal_each(self, given: Any) -> tuple[Any, Any]:
        """Mean and standard deviation of each entry, where entries are independent normals.

        Raises:
            UsageError: They are none, or nothing is known of it.
        """
        del given
        raise UsageError(
            f"{type(self).__name__} is no likelihood of independent normal values: expected one "
            "with normal_each(given), such as those of the names gaussian, gaussian_scalar, "
            "gaussian_column and gaussian_fixed, or one of independent binary values"
        )

    def level_probs(self, given: Any) -> dict[int, Any]:
        """The probability of each level, by the number of the entry that has levels; none here."""
        del given
        return {}

    def _check_independent(self) -> None:
        if not self.independent:
            raise UsageError(
                f"{type(self).__name__} does not say what missing entries are given the others: "
                "expected a likelihood with log_prob_each(value, given), whose entries are "
                "independent given z, or one with sample_missing and mean_missing of its own"
            )

    def sample_and_log_prob(self, given: Any, *, key: PRNGKeyArray) -> tuple[Any, Float[Array, ""]]:
        """One draw and its log-density; a family whose network both need evaluates it once."""
        value = self.sample(given, key=key)
        return value, self.log_prob(value, given)

    def mean(self, given: Any) -> Any:
        """Expected value given one value (for layers above the first: along the chain of means).

        Raises:
            UsageError: The class defines no mean.
        """
        del given
        raise UsageError(f"{type(self).__name__} has no mean: define mean(self, given)")


class AbstractStrata(AbstractExplicit):
    """A mixture of finitely many components, from each of which draws can be differentiated."""

    components: eqx.AbstractVar[int]
    """Their number."""

    @property
    def offers(self) -> frozenset[str]:
        """Draws, the density and its score, and the components."""
        return frozenset({"samples", "density", "score", "components"})

    @property
    def reparameterized(self) -> bool:
        """Which component a draw is of is no differentiable function of the parameters."""
        return False

    @abc.abstractmethod
    def log_shares(self, given: Any) -> Float[Array, " c"]:
        """Log of the components' shares, which sum to one."""

    @abc.abstractmethod
    def sample_from(self, component: Int[Array, ""], given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw of the component of that number, differentiable in the parameters."""


def prior_given(prior: Any, x: Any) -> Any:
    """What a prior is given of a datum: its condition, or the datum if it looks for its end."""
    return x if getattr(prior, "sees_data", False) else condition(x)
