"""Dense layers and multi-layer perceptrons, initialised as Glorot & Bengio (2010)."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.errors import UsageError

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "leaky_relu": jax.nn.leaky_relu,
    "softplus": jax.nn.softplus,
}


class Dense(eqx.Module):
    """An affine map `x @ weight + bias`.

    The weight has shape (in, out): under a double `vmap` this is one matrix product, which a
    transposed weight is not.
    """

    weight: Float[Array, "n_in n_out"]
    bias: Float[Array, " n_out"]

    @staticmethod
    def glorot(n_in: int, n_out: int, *, key: PRNGKeyArray) -> "Dense":
        """Uniform weights in +-sqrt(6 / (n_in + n_out)), zero bias (Glorot & Bengio, 2010)."""
        limit = (6.0 / (n_in + n_out)) ** 0.5
        weight = jax.random.uniform(key, (n_in, n_out), minval=-limit, maxval=limit)
        return Dense(weight, jnp.zeros(n_out))

    def __call__(self, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """Applies the map to one item."""
        return x @ self.weight + self.bias


class MLP(eqx.Module):
    """Dense layers, each followed by the activation: the deterministic units of one conditional."""

    layers: tuple[Dense, ...]
    activation: str = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuses an unknown activation by name."""
        if self.activation not in ACTIVATIONS:
            raise UsageError(
                f"expected an activation out of {', '.join(ACTIVATIONS)}, got {self.activation!r}"
            )

    @staticmethod
    def glorot(
        n_in: int, hidden: tuple[int, ...], *, activation: str = "tanh", key: PRNGKeyArray
    ) -> "MLP":
        """A perceptron with the given hidden widths; no hidden widths give the identity."""
        widths = (n_in, *hidden)
        keys = jax.random.split(key, len(widths))
        layers = tuple(
            Dense.glorot(i, o, key=k)
            for i, o, k in zip(widths[:-1], widths[1:], keys[1:], strict=True)
        )
        return MLP(layers, activation)

    def __call__(self, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """Applies all layers to one item."""
        for layer in self.layers:
            x = ACTIVATIONS[self.activation](layer(x))
        return x
