"""Chains of conditionals over several stochastic layers, as in Burda et al. 2015 (eq. 1-2).

A value is a tuple of layers with the bottom layer first: z = (h_1, ..., h_L). The recognition
chain q(h_1|x) q(h_2|h_1) ... runs upwards from the datum; the prior p(h_L) p(h_{L-1}|h_L) ...
runs downwards. Each conditional is given the *sampled* layer before it.
"""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.items import Given, condition, having, values
from tightbound.core.streams import first_keys
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.layers import AbstractLayers
from tightbound.distributions.through import AbstractThrough


class Layered(AbstractLayers):
    """A chain of conditionals; `conditionals` stand in the order in which they are sampled."""

    conditionals: tuple[AbstractExplicit, ...]
    downwards: bool = eqx.field(static=True)

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


class BottomLayer(AbstractThrough):
    """A conditional that is given the bottom layer h_1 of a layered value: p(x|h_1)."""

    conditional: AbstractExplicit

    def _seen(self, given: tuple | Given) -> Any:
        # The bottom layer, with the condition if it comes with one.
        return having(values(given)[0], condition(given))
