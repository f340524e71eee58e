"""A normalising flow of affine coupling layers.

Reference: Dinh, Sohl-Dickstein & Bengio 2017, arXiv 1605.08803 (RealNVP), eq. 7-8.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import first_keys
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.networks import MLP, Dense, Head, joined, read

MOST_STRETCH = 2.0
"""Bound of each layer's log-scale: one layer stretches by no more than e^2."""


class Coupling(eqx.Module):
    """y = x on half of the units, and x exp(s) + t on the others.

    s and t are those of the first half and, behind it, of what is given, if anything is.
    """

    network: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    head: Head
    parity: int = eqx.field(static=True)

    def forward(
        self, x: Float[Array, " d"], given: Any = None
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """The image of x, and the log-determinant of the map."""
        kept, log_scale, shift = self._parts(x, given)
        return kept + (1 - self._mask(x)) * (x * jnp.exp(log_scale) + shift), jnp.sum(log_scale)

    def inverse(
        self, y: Float[Array, " d"], given: Any = None
    ) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """What has the image y, and the log-determinant of the map back."""
        kept, log_scale, shift = self._parts(y, given)
        return kept + (1 - self._mask(y)) * (y - shift) * jnp.exp(-log_scale), -jnp.sum(log_scale)

    def _mask(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        return jnp.astype(jnp.arange(x.shape[0]) % 2 == self.parity, x.dtype)

    def _parts(self, x: Float[Array, " d"], given: Any) -> tuple[Any, Any, Any]:
        """The units that stay, and log-scale and shift of the others, zero where units stay."""
        mask = self._mask(x)
        seen = mask * x if given is None else joined(mask * x, given)
        log_scale, shift = jnp.split(self.head(read(self.network, seen)), 2)
        log_scale = MOST_STRETCH * jnp.tanh(log_scale / MOST_STRETCH)
        return mask * x, (1 - mask) * log_scale, (1 - mask) * shift


class CouplingFlow(AbstractExplicit):
    """The image of N(0, I) under coupling layers, which see what it is given if it `reads`."""

    layers: tuple[Coupling, ...]
    dim: int = eqx.field(static=True)
    reads: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        """Refuses one dimension, which leaves nothing to couple."""
        if self.dim < 2:
            raise UsageError(f"a coupling flow needs 2 dimensions or more, got {self.dim}")

    @staticmethod
    def identity(dim: int, *, layers: int, hidden: tuple[int, ...], key: PRNGKeyArray) -> Any:
        """A flow that begins as N(0, I) and ignores what it is given.

        Heads of zero stand over random networks.

        Raises:
            UsageError: dim < 2, which leaves nothing to couple.
        """
        width = hidden[-1] if hidden else dim
        return CouplingFlow(
            tuple(
                Coupling(
                    MLP.glorot(dim, hidden, key=k),
                    Dense(jnp.zeros((width, 2 * dim)), jnp.zeros(2 * dim)),
                    parity=i % 2,
                )
                for i, k in enumerate(first_keys(key, layers))
            ),
            dim,
        )

    @property
    def support(self) -> str:
        """Where values must lie."""
        return "real"

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw."""
        return self.sample_and_log_prob(given, key=key)[0]

    def log_prob(self, value: Float[Array, " dim"], given: Any = None) -> Float[Array, ""]:
        """Log-density in nats."""
        given = given if self.reads else None
        log_volume = jnp.zeros([], value.dtype)
        for layer in reversed(self.layers):
            value, change = layer.inverse(value, given)
            log_volume = log_volume + change
        return _standard(value) + log_volume

    def sample_and_log_prob(
        self, given: Any = None, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """One draw and its log-density in nats, without a map back."""
        given = given if self.reads else None
        value = jax.random.normal(key, (self.dim,))
        log_prob = _standard(value)
        for layer in self.layers:
            value, change = layer.forward(value, given)
            log_prob = log_prob - change
        return value, log_prob

    def mean(self, given: Any = None) -> Float[Array, " dim"]:
        """The image of the base's mean, in place of a mean that has no closed form."""
        given = given if self.reads else None
        value = jnp.zeros(self.dim)
        for layer in self.layers:
            value, _ = layer.forward(value, given)
        return value


def _standard(value: Float[Array, " dim"]) -> Float[Array, ""]:
    return -0.5 * jnp.sum(value**2 + jnp.log(2 * jnp.pi))
