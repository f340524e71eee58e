"""Chains of conditionals over several stochastic layers, as in Burda et al. 2015 (eq. 1-2).

A value is a tuple of layers with the bottom layer first: z = (h_1, ..., h_L). The recognition
chain q(h_1|x) q(h_2|h_1) ... runs upwards from the datum; the prior p(h_L) p(h_{L-1}|h_L) ...
runs downwards. Each conditional is given the *sampled* layer before it.
"""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.items import Given, condition, having, values
from tightbound.core.streams import first_keys
from tightbound.distributions.contracts import AbstractExplicit


class Layered(AbstractExplicit):
    """A chain of conditionals; `conditionals` stand in the order in which they are sampled."""

    conditionals: tuple[AbstractExplicit, ...]
    downwards: bool = eqx.field(static=True)

    @property
    def support(self) -> str:
        """Where values must lie."""
        return ", ".join(dict.fromkeys(conditional.support for conditional in self.conditionals))

    @property
    def reparameterized(self) -> bool:
        """Every layer's draw is differentiable."""
        return all(conditional.reparameterized for conditional in self.conditionals)

    @property
    def fixed_support(self) -> bool:
        """No layer's support moves with its parameters."""
        return all(conditional.fixed_support for conditional in self.conditionals)

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> tuple[Float[Array, "..."], ...]:
        """One draw of all layers, bottom layer first."""
        return self.sample_and_log_prob(given, key=key)[0]

    def log_prob(self, value: tuple[Float[Array, "..."], ...], given: Any) -> Float[Array, ""]:
        """Log-density of all layers in nats."""
        terms = self._terms(value, given)
        return sum(terms[1:], start=terms[0])

    def log_prob_by_layer(
        self, value: tuple[Float[Array, "..."], ...], given: Any
    ) -> tuple[Float[Array, ""], ...]:
        """Log-density of each layer given the one before it in nats, bottom layer first."""
        return self._in_order(tuple(self._terms(value, given)))

    def _terms(self, value: tuple[Float[Array, "..."], ...], given: Any) -> list[Float[Array, ""]]:
        """In the order of sampling."""
        layers = self._in_order(value)
        above = (given, *layers[:-1])
        return [
            conditional.log_prob(layer, before)
            for conditional, layer, before in zip(self.conditionals, layers, above, strict=True)
        ]

    def sample_and_log_prob(
        self, given: Any, *, key: PRNGKeyArray
    ) -> tuple[tuple[Float[Array, "..."], ...], Float[Array, ""]]:
        """One draw of all layers and its log-density in nats."""
        layers, terms = [], []
        keys = first_keys(key, len(self.conditionals))
        for conditional, layer_key in zip(self.conditionals, keys, strict=True):
            given, log_prob = conditional.sample_and_log_prob(given, key=layer_key)
            layers.append(given)
            terms.append(log_prob)
        return self._in_order(tuple(layers)), sum(terms[1:], start=terms[0])

    def mean(self, given: Any) -> tuple[Float[Array, "..."], ...]:
        """The layers along the chain of means: each conditional is given the mean before it."""
        layers = []
        for conditional in self.conditionals:
            given = conditional.mean(given)
            layers.append(given)
        return self._in_order(tuple(layers))

    def _in_order(self, layers: tuple) -> tuple:
        """Swaps between bottom-first order and the order of sampling."""
        return layers[::-1] if self.downwards else layers


class BottomLayer(AbstractExplicit):
    """A conditional that is given the bottom layer h_1 of a layered value: p(x|h_1)."""

    conditional: AbstractExplicit

    @property
    def support(self) -> str:
        """Where values must lie."""
        return self.conditional.support

    @property
    def reparameterized(self) -> bool:
        """Whether the conditional's draw is differentiable."""
        return self.conditional.reparameterized

    @property
    def fixed_support(self) -> bool:
        """Whether the conditional's support stays where it is."""
        return self.conditional.fixed_support

    def sample(self, given: tuple | Given, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw given the bottom layer."""
        return self.conditional.sample(_bottom(given), key=key)

    def log_prob(self, value: Float[Array, " dim"], given: tuple | Given) -> Float[Array, ""]:
        """Log-density in nats given the bottom layer."""
        return self.conditional.log_prob(value, _bottom(given))

    def log_prob_each(
        self, value: Float[Array, " dim"], given: tuple | Given
    ) -> Float[Array, " dim"]:
        """Log-density of each entry in nats given the bottom layer."""
        return self.conditional.log_prob_each(value, _bottom(given))

    def log_prob_observed(
        self, value: Float[Array, " dim"], observed: Bool[Array, " dim"], given: tuple | Given
    ) -> Float[Array, ""]:
        """Log-density of the observed entries in nats given the bottom layer."""
        return self.conditional.log_prob_observed(value, observed, _bottom(given))

    def sample_missing(
        self,
        value: Float[Array, " dim"],
        observed: Bool[Array, " dim"],
        given: tuple | Given,
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, " dim"]:
        """One draw of the other entries given the observed ones and the bottom layer."""
        return self.conditional.sample_missing(value, observed, _bottom(given), key=key)

    def mean_missing(
        self, value: Float[Array, " dim"], observed: Bool[Array, " dim"], given: tuple | Given
    ) -> Float[Array, " dim"]:
        """What is expected of the other entries given the observed ones and the bottom layer."""
        return self.conditional.mean_missing(value, observed, _bottom(given))

    def normal_each(
        self, given: tuple | Given
    ) -> tuple[Float[Array, " dim"], Float[Array, " dim"]]:
        """Mean and standard deviation of each entry given the bottom layer."""
        return self.conditional.normal_each(_bottom(given))

    def push(
        self, noise: Float[Array, " dim"], given: tuple | Given
    ) -> tuple[Float[Array, " dim"], Float[Array, " dim"]]:
        """What normal noise becomes given the bottom layer, with its log-weights."""
        return self.conditional.push(noise, _bottom(given))

    def level_probs(self, given: tuple | Given) -> dict[int, Float[Array, " _levels"]]:
        """The probability of each level given the bottom layer, by the number of the entry."""
        return self.conditional.level_probs(_bottom(given))

    def sample_and_log_prob(
        self, given: tuple | Given, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """One draw and its log-density in nats given the bottom layer."""
        return self.conditional.sample_and_log_prob(_bottom(given), key=key)

    def mean(self, given: tuple | Given) -> Float[Array, " dim"]:
        """Expected value given the bottom layer."""
        return self.conditional.mean(_bottom(given))


def _bottom(given: tuple | Given) -> Any:
    """The bottom layer, with the condition if it comes with one."""
    return having(values(given)[0], condition(given))
