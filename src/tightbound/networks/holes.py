"""What networks see of data with missing values: zeros, and, where they want it, the mask.

Mattei & Frellsen 2019, arXiv 1812.02633, section 3.1 (zeros, as in MIWAE: any q(z|x) is a valid
proposal, whatever it sees).
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.core.items import Datum, One, values


class AbstractReader(eqx.Module):
    """A network that is given the whole datum, with its mask where values are missing."""


def read(network: Callable[..., Any], given: Any) -> Any:
    """What a network makes of a datum: of its values, 0 where missing, unless it reads the mask."""
    return network(given if isinstance(network, AbstractReader) else values(given))


class Reshaped(AbstractReader):
    """A network of items that come as one vector each, laid out in their own shape."""

    network: Callable[..., Any]
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, given: One) -> Any:
        """The output for one datum."""
        if isinstance(given, Datum):
            given = Datum(given.x.reshape(self.shape), given.observed.reshape(self.shape))
            return read(self.network, given)
        return self.network(given.reshape(self.shape))


class WithMask(AbstractReader):
    """A network of a datum's values and, behind them, of its mask: 1 where a value is known.

    It takes twice as many numbers as a datum has, as an encoder for data with missing values:
    `tb.autoencoder(x, encoder=WithMask(MLP.glorot(2 * d, (200, 200), key=key)))`.
    """

    network: Callable[[Float[Array, " n_in"]], Float[Array, " n_out"]]

    def __call__(self, given: One) -> Float[Array, " n_out"]:
        """The output for one datum."""
        x = jnp.ravel(values(given))
        mask = jnp.ravel(given.observed) if isinstance(given, Datum) else jnp.ones_like(x)
        return self.network(jnp.concatenate([x, jnp.astype(mask, x.dtype)]))
