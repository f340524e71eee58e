"""Conditionals with a label that is summed over: mixtures with a component for each class.

Kingma, Rezende, Mohamed & Welling 2014, arXiv 1406.5298, eq. 2 and 4 (model M2).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, Given, One, values
from tightbound.core.streams import streams
from tightbound.distributions.contracts import AbstractExplicit, AbstractStrata
from tightbound.networks import read

Shares = Float[Array, " classes"]


class OverLabels(AbstractExplicit):
    """p(x|z) = sum_y p(y) p(x|z, y): a law that is given a label as a condition, without one."""

    conditional: AbstractExplicit
    """p(x|z, y), given `Given(z, y)` with y as a one-hot vector."""
    logits: Shares
    """Of p(y)."""

    @property
    def classes(self) -> int:
        """How many labels there are."""
        return self.logits.shape[0]

    @property
    def log_prior(self) -> Shares:
        """Log p(y) of each label in nats."""
        return jax.nn.log_softmax(self.logits)

    @property
    def support(self) -> str:
        """Where values must lie."""
        return self.conditional.support

    @property
    def reparameterized(self) -> bool:
        """Which label a draw has is no differentiable function of anything."""
        return False

    @property
    def fixed_support(self) -> bool:
        """Whether the support stays where it is."""
        return self.conditional.fixed_support

    @property
    def offers(self) -> frozenset[str]:
        """Draws, if the conditional has them, and the density with its score."""
        return self.conditional.offers & {"samples"} | {"density", "score"}

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw, of a label drawn by p(y)."""
        which_key, key = streams(key, "over_labels.label", "over_labels.x")
        which = jax.random.categorical(which_key, self.logits)
        return self.conditional.sample(Given(given, self._one_hot(which)), key=key)

    def log_prob(self, value: Any, given: Any) -> Float[Array, ""]:
        """Log-density in nats, all labels summed over."""
        return jax.nn.logsumexp(self.log_prior + self.log_prob_by_label(value, None, given))

    def log_prob_observed(self, value: Any, observed: Any, given: Any) -> Float[Array, ""]:
        """Log-density of the observed entries in nats, all labels summed over."""
        return jax.nn.logsumexp(self.log_prior + self.log_prob_by_label(value, observed, given))

    def log_prob_by_label(
        self, value: Any, observed: Bool[Array, "*item"] | None, given: Any
    ) -> Shares:
        """Log p(x|z, y) of each label y in nats, of the observed entries."""
        return jax.vmap(lambda label: self.log_prob_given(value, observed, given, label))(
            self._labels
        )

    def log_prob_given(
        self,
        value: Any,
        observed: Bool[Array, "*item"] | None,
        given: Any,
        label: Float[Array, " classes"],
    ) -> Float[Array, ""]:
        """Log p(x|z, y) in nats of one label, a one-hot vector; of the observed entries."""
        beside = Given(given, label)
        if observed is None:
            return self.conditional.log_prob(value, beside)
        return self.conditional.log_prob_observed(value, observed, beside)

    def sample_missing(self, value: Any, observed: Any, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw of the entries that are not observed, of a label drawn given the others."""
        which_key, key = streams(key, "over_labels.missing_label", "over_labels.missing")
        log_shares = self.log_prior + self.log_prob_by_label(value, observed, given)
        which = jax.random.categorical(which_key, log_shares)
        beside = Given(given, self._one_hot(which))
        return self.conditional.sample_missing(value, observed, beside, key=key)

    def mean_missing(self, value: Any, observed: Any, given: Any) -> Any:
        """What is expected of the entries that are not observed, given the others."""
        shares = jax.nn.softmax(self.log_prior + self.log_prob_by_label(value, observed, given))
        means = jax.vmap(
            lambda label: self.conditional.mean_missing(value, observed, Given(given, label))
        )(self._labels)
        return jnp.tensordot(shares, means, 1)

    def mean(self, given: Any) -> Any:
        """Expected value, over p(y)."""
        means = jax.vmap(lambda label: self.conditional.mean(Given(given, label)))(self._labels)
        return jnp.tensordot(jnp.exp(self.log_prior), means, 1)

    def level_probs(self, given: Any) -> dict[int, Any]:
        """None: columns of levels would depend on the others through the label.

        Raises:
            UsageError: The conditional has columns of levels.
        """
        if self.conditional.level_probs(Given(given, self._one_hot(jnp.zeros((), jnp.int32)))):
            raise UsageError(
                "under a label that is summed over, columns of levels depend on the others: "
                "expected a likelihood of numbers or pixels"
            )
        return {}

    @property
    def _labels(self) -> Float[Array, "classes classes"]:
        return jnp.eye(self.classes, dtype=self.logits.dtype)

    def _one_hot(self, label: Int[Array, ""]) -> Float[Array, " classes"]:
        return jax.nn.one_hot(label, self.classes, dtype=self.logits.dtype)


class OfLabel(AbstractExplicit):
    """p(x|z, y) of one label: a law that is given a label, with that label."""

    conditional: AbstractExplicit
    """p(x|z, y), given `Given(z, y)` with y as a one-hot vector."""
    label: int = eqx.field(static=True)
    classes: int = eqx.field(static=True)

    @property
    def support(self) -> str:
        """Where values must lie."""
        return self.conditional.support

    @property
    def reparameterized(self) -> bool:
        """Whether a draw is differentiable."""
        return self.conditional.reparameterized

    @property
    def fixed_support(self) -> bool:
        """Whether the support stays where it is."""
        return self.conditional.fixed_support

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw."""
        return self.conditional.sample(self._with_label(given), key=key)

    def log_prob(self, value: Any, given: Any) -> Float[Array, ""]:
        """Log-density in nats."""
        return self.conditional.log_prob(value, self._with_label(given))

    def log_prob_each(self, value: Any, given: Any) -> Any:
        """Log-density of each entry in nats."""
        return self.conditional.log_prob_each(value, self._with_label(given))

    def log_prob_observed(self, value: Any, observed: Any, given: Any) -> Float[Array, ""]:
        """Log-density of the observed entries in nats."""
        return self.conditional.log_prob_observed(value, observed, self._with_label(given))

    def sample_missing(self, value: Any, observed: Any, given: Any, *, key: PRNGKeyArray) -> Any:
        """One draw of the entries that are not observed."""
        beside = self._with_label(given)
        return self.conditional.sample_missing(value, observed, beside, key=key)

    def mean_missing(self, value: Any, observed: Any, given: Any) -> Any:
        """What is expected of the entries that are not observed."""
        return self.conditional.mean_missing(value, observed, self._with_label(given))

    def normal_each(self, given: Any) -> tuple[Any, Any]:
        """Mean and standard deviation of each entry."""
        return self.conditional.normal_each(self._with_label(given))

    def level_probs(self, given: Any) -> dict[int, Any]:
        """The probability of each level, by the number of the entry."""
        return self.conditional.level_probs(self._with_label(given))

    def mean(self, given: Any) -> Any:
        """Expected value."""
        return self.conditional.mean(self._with_label(given))

    def _with_label(self, given: Any) -> Given:
        return Given(given, jax.nn.one_hot(self.label, self.classes))


class LabelledPosterior(AbstractStrata):
    """q(z|x) = sum_y q(y|x) q(z|x, y): a classifier, and a posterior given its label."""

    classifier: Any
    """From a datum to the logits of q(y|x)."""
    conditional: AbstractExplicit
    """q(z|x, y), given a `Datum` whose condition is y as a one-hot vector."""
    components: int = eqx.field(static=True)

    @property
    def support(self) -> str:
        """Where values must lie."""
        return self.conditional.support

    @property
    def fixed_support(self) -> bool:
        """Whether the support stays where it is."""
        return self.conditional.fixed_support

    def log_shares(self, given: One) -> Shares:
        """Log q(y|x) of each label in nats."""
        return jax.nn.log_softmax(read(self.classifier, given))

    def sample_from(self, component: Int[Array, ""], given: One, *, key: PRNGKeyArray) -> Any:
        """One draw of q(z|x, y) for the label of that number."""
        return self.conditional.sample(self.labelled(given, component), key=key)

    def sample(self, given: One, *, key: PRNGKeyArray) -> Any:
        """One draw, of a label drawn by q(y|x)."""
        which_key, key = streams(key, "labelled_posterior.label", "labelled_posterior.z")
        which = jax.random.categorical(which_key, self.log_shares(given))
        return self.sample_from(which, given, key=key)

    def log_prob(self, value: Any, given: One) -> Float[Array, ""]:
        """Log-density in nats."""
        each = jax.vmap(lambda y: self.conditional.log_prob(value, self.labelled(given, y)))
        return jax.nn.logsumexp(self.log_shares(given) + each(jnp.arange(self.components)))

    def mean(self, given: One) -> Any:
        """Expected value, over q(y|x)."""
        each = jax.vmap(lambda y: self.conditional.mean(self.labelled(given, y)))
        return jnp.tensordot(jnp.exp(self.log_shares(given)), each(jnp.arange(self.components)), 1)

    def labelled(self, given: One, label: Int[Array, ""]) -> Datum:
        """A datum with that label, as q(z|x, y) is given it."""
        y = jax.nn.one_hot(label, self.components)
        known = given.observed if isinstance(given, Datum) else None
        return Datum(values(given), known, y)
