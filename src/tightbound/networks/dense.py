"""Dense layers and multi-layer perceptrons, initialised as Glorot & Bengio (2010)."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError, unknown
from tightbound.core.items import Datum, Given, One, condition, values
from tightbound.core.streams import first_keys, streams
from tightbound.networks.fixed import Fixed
from tightbound.networks.holes import read
from tightbound.networks.layer import AbstractLayer, glorot

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "leaky_relu": jax.nn.leaky_relu,
    "softplus": jax.nn.softplus,
}


class Dense(AbstractLayer):
    """An affine map `x @ weight + bias`.

    The weight has shape (in, out): under a double `vmap` this is one matrix product, which a
    transposed weight is not.
    """

    weight: Float[Array, "n_in n_out"]
    bias: Float[Array, " n_out"]
    spread: float | None = eqx.field(static=True, default=None)

    @staticmethod
    def glorot(n_in: int, n_out: int, *, key: PRNGKeyArray) -> "Dense":
        """Weights by Glorot's rule, zero bias."""
        return Dense(glorot(n_in, n_out, key=key), jnp.zeros(n_out))

    def by_rule(self, key: PRNGKeyArray) -> "Dense":
        """By Glorot's rule."""
        return Dense(glorot(*self.weight.shape, key=key), self.bias)

    def __call__(self, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """Applies the map to one item."""
        return x @ self.weight + self.bias


class FixedDense(eqx.Module):
    """An affine map whose numbers no optimiser moves, and which further replicas share."""

    weight: Fixed
    bias: Fixed

    def __call__(self, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """Applies the map to one item."""
        return x @ self.weight.values + self.bias.values


def frozen(tree: Any) -> Any:
    """The same tree of modules with the numbers of its dense layers fixed.

    Raises:
        UsageError: Numbers outside of dense layers would be trained all the same.
    """

    def fix(leaf: Any) -> Any:
        if isinstance(leaf, Dense):
            return FixedDense(*(Fixed.of(np.asarray(a)) for a in (leaf.weight, leaf.bias)))
        if eqx.is_inexact_array(leaf):
            raise UsageError(
                f"expected networks whose numbers all stand in dense layers, to fix them, got an "
                f"array of shape {leaf.shape} elsewhere"
            )
        return leaf

    return jax.tree.map(fix, tree, is_leaf=lambda node: isinstance(node, Dense))


class MLP(eqx.Module):
    """Dense layers, each followed by the activation: the deterministic units of one conditional."""

    layers: tuple[Dense | FixedDense, ...]
    activation: str = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuses an unknown activation by name."""
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)

    @staticmethod
    def glorot(
        n_in: int, hidden: tuple[int, ...], *, activation: str = "tanh", key: PRNGKeyArray
    ) -> "MLP":
        """A perceptron with the given hidden widths; no hidden widths give the identity."""
        widths = (n_in, *hidden)
        keys = first_keys(key, len(hidden))
        layers = tuple(
            Dense.glorot(i, o, key=k) for i, o, k in zip(widths[:-1], widths[1:], keys, strict=True)
        )
        return MLP(layers, activation)

    def __call__(self, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """Applies all layers to one item."""
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
        return x


class Squashed(eqx.Module):
    """A network that sees arcsinh of its input: itself near zero, its logarithm far out."""

    network: Callable[[Float[Array, " n_in"]], Float[Array, " n_out"]]

    def __call__(self, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """The output for one item."""
        return self.network(jnp.arcsinh(x))


class Joined(eqx.Module):
    """A perceptron with a linear output on several inputs, put behind one another.

    An input may be None, for nothing at all, and any tree of arrays, which is laid flat.
    """

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    head: Dense

    @staticmethod
    def glorot(
        n_in: int,
        hidden: tuple[int, ...],
        n_out: int,
        *,
        activation: str = "silu",
        key: PRNGKeyArray,
    ) -> "Joined":
        """A network for inputs of `n_in` numbers in all."""
        trunk_key, head_key = streams(key, "joined.trunk", "joined.head")
        trunk = MLP.glorot(n_in, hidden, activation=activation, key=trunk_key)
        return Joined(trunk, Dense.glorot((n_in, *hidden)[-1], n_out, key=head_key))

    def __call__(self, *inputs: Any) -> Float[Array, " n_out"]:
        """The output for one item."""
        return self.head(read(self.trunk, joined(*inputs)))


def joined(*inputs: Any) -> One:
    """All numbers of some trees as one vector, with the mask and the condition of a datum there."""
    x = jnp.concatenate([flat(value) for value in inputs])
    is_datum = lambda node: isinstance(node, Datum | Given)  # noqa: E731
    leaves = [leaf for value in inputs for leaf in jax.tree.leaves(value, is_leaf=is_datum)]
    conditions = [c for c in map(condition, leaves) if c is not None]
    masks = [leaf.observed if isinstance(leaf, Datum) else None for leaf in leaves]
    observed = None
    if any(mask is not None for mask in masks):
        known = [
            jnp.ones(flat(leaf).shape, bool) if mask is None else jnp.ravel(mask)
            for leaf, mask in zip(leaves, masks, strict=True)
        ]
        observed = jnp.concatenate(known)
    if observed is None and not conditions:
        return x
    return Datum(x, observed, jnp.concatenate(conditions) if conditions else None)


def flat(value: Any) -> Float[Array, " n"]:
    """All numbers of a tree as one vector, 0 where they are missing; of None, an empty one."""
    leaves = jax.tree.leaves(value, is_leaf=lambda node: isinstance(node, Datum | Given))
    numbers = [jnp.ravel(leaf) for each in map(values, leaves) for leaf in jax.tree.leaves(each)]
    return jnp.concatenate([jnp.zeros(0), *numbers])
