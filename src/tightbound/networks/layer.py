"""Affine layers: numbers that start by a rule, so that a further replica can draw its own."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import first_keys, streams


class AbstractLayer(eqx.Module):
    """A weight of shape (in, out), with a bias, in whatever way it is used."""

    weight: eqx.AbstractVar[Float[Array, "n_in n_out"]]
    bias: eqx.AbstractVar[Float[Array, " n_out"]]
    spread: eqx.AbstractVar[float | None]
    """Standard deviation from which `fresh` draws all numbers; None for the layer's own rule."""

    @abc.abstractmethod
    def by_rule(self, key: PRNGKeyArray) -> "AbstractLayer":
        """The same layer with a weight drawn anew by its own rule."""

    def fresh(self, *, key: PRNGKeyArray) -> "AbstractLayer":
        """The same layer with its first numbers drawn anew; its own rule keeps the bias."""
        if self.spread is None:
            return self.by_rule(key)
        keys = streams(key, "layer.weight", "layer.bias")
        weight, bias = (
            self.spread * jax.random.normal(k, a.shape, a.dtype)
            for k, a in zip(keys, (self.weight, self.bias), strict=True)
        )
        return dataclasses.replace(self, weight=weight, bias=bias)

    def of_spread(self, spread: float, *, key: PRNGKeyArray) -> "AbstractLayer":
        """The same layer with all numbers drawn from N(0, spread^2), now and in replicas."""
        return dataclasses.replace(self, spread=spread).fresh(key=key)


def is_layer(node: Any) -> bool:
    """Whether it is one, and is to be taken as a whole."""
    return isinstance(node, AbstractLayer)


def over_layers(
    change: Callable[[AbstractLayer, PRNGKeyArray], AbstractLayer], tree: Any, key: PRNGKeyArray
) -> Any:
    """The same tree of modules with every layer changed, each by a key of its own."""
    leaves, structure = jax.tree.flatten(tree, is_leaf=is_layer)
    keys = first_keys(key, len(leaves))
    changed = [
        change(leaf, k) if is_layer(leaf) else leaf for leaf, k in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, changed)


def glorot(
    n_in: int, n_out: int, *, taps: int = 1, gain: float = 1.0, key: PRNGKeyArray
) -> Float[Array, "n_in n_out"]:
    """Uniform weights in +-gain sqrt(6 / (n_in + n_out taps)) (Glorot & Bengio 2010).

    With several taps n_in counts the inputs of all, and each input reaches as many outputs.
    """
    limit = gain * (6.0 / (n_in + taps * n_out)) ** 0.5
    return jax.random.uniform(key, (n_in, n_out), minval=-limit, maxval=limit)
