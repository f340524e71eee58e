"""Inference from the top layer down, beside features of the datum that go up.

Sonderby, Raiko, Maaloe, Sonderby & Winther 2016, arXiv 1602.02282 (ladder variational
autoencoders), figure 1 and eq. 13-15. There the normal of each layer is put together from those of
the prior and of the datum, by their precisions; here a network of both learns what to make of them,
and shares no weights with the prior, so that any prior will do.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import first_keys
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.layers import AbstractLayers
from tightbound.distributions.on_features import OnFeatures
from tightbound.networks import Chain, read


class TopDown(AbstractLayers):
    """q(h_L|x) q(h_{L-1}|h_L, x) ... q(h_1|h_2, x), with a value of all layers, bottom first.

    `up[0]` makes features d_1 of the datum, and `up[l]` d_{l+1} of d_l; the top conditional is
    given d_L, and each below it its own features and behind them the layer above.
    """

    up: tuple[Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]], ...]
    conditionals: tuple[AbstractExplicit, ...]
    """Bottom layer first."""

    def sample_and_log_prob(
        self, given: Any, *, key: PRNGKeyArray
    ) -> tuple[tuple[Float[Array, "..."], ...], Float[Array, ""]]:
        """One draw of all layers and its log-density in nats."""
        layers, terms = [], []
        keys = first_keys(key, len(self.conditionals))
        for (conditional, features), layer_key in zip(self._downwards(given), keys, strict=True):
            before = _beside(features, layers)
            layer, log_prob = conditional.sample_and_log_prob(before, key=layer_key)
            layers.append(layer)
            terms.append(log_prob)
        return tuple(layers[::-1]), sum(terms[1:], start=terms[0])

    def log_prob(self, value: tuple[Float[Array, "..."], ...], given: Any) -> Float[Array, ""]:
        """Log-density of all layers in nats."""
        terms = self._terms(value, given)
        return sum(terms[1:], start=terms[0])

    def log_prob_by_layer(
        self, value: tuple[Float[Array, "..."], ...], given: Any
    ) -> tuple[Float[Array, ""], ...]:
        """Log-density of each layer given the one above it in nats, bottom layer first."""
        return tuple(self._terms(value, given)[::-1])

    def _terms(self, value: tuple[Float[Array, "..."], ...], given: Any) -> list[Float[Array, ""]]:
        """From the top layer down."""
        downwards = value[::-1]
        return [
            conditional.log_prob(layer, _beside(features, downwards[:number]))
            for number, ((conditional, features), layer) in enumerate(
                zip(self._downwards(given), downwards, strict=True)
            )
        ]

    def mean(self, given: Any) -> tuple[Float[Array, "..."], ...]:
        """The layers along the chain of means: each conditional is given the mean above it."""
        layers = []
        for conditional, features in self._downwards(given):
            layers.append(conditional.mean(_beside(features, layers)))
        return tuple(layers[::-1])

    def means_given(
        self, value: tuple[Float[Array, "..."], ...], given: Any
    ) -> tuple[Float[Array, "..."], ...]:
        """The mean of each layer given the layer above it in a value; bottom layer first."""
        downwards = value[::-1]
        found = [
            conditional.mean(_beside(features, downwards[:number]))
            for number, (conditional, features) in enumerate(self._downwards(given))
        ]
        return tuple(found[::-1])

    @property
    def top(self) -> OnFeatures:
        """Q(h_L|x), which is given the datum alone."""
        return OnFeatures(trunk=Chain(self.up), conditional=self.conditionals[-1])

    def _downwards(self, given: Any) -> Iterator[tuple[AbstractExplicit, Float[Array, " n_h"]]]:
        """Conditionals with the features of their layers, from the top."""
        features = []
        for network in self.up:
            given = read(network, given)
            features.append(given)
        return zip(self.conditionals[::-1], features[::-1], strict=True)


def _beside(features: Float[Array, " n_h"], above: Any) -> Float[Array, " n_in"]:
    """What a conditional is given: features, and the layer above where there is one."""
    return jnp.concatenate([features, above[-1]]) if above else features
