"""What networks see of data: of missing values zeros, and, where they want it, the mask.

One that reads no condition is never given data that have one: what it makes of the values alone
would be another distribution than it is taken for.

Mattei & Frellsen 2019, arXiv 1812.02633, section 3.1 (zeros, as in MIWAE: any q(z|x) is a valid
proposal, whatever it sees).
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, One, condition, values


class AbstractReader(eqx.Module):
    """A network that is given all there is: a `Datum` with its mask and its condition, or a z.

    Where no value is missing and the model has no condition that is an array. A z with its
    condition is a `tightbound.core.items.Given`.
    """

    @abc.abstractmethod
    def __call__(self, given: Any) -> Any:
        """The output for one datum or one z."""


def read(network: Any, given: Any) -> Any:
    """What a network makes of a datum: of its values, 0 where missing, unless it is a reader.

    Raises:
        UsageError: There is a condition, and the network is no reader.
    """
    if isinstance(network, AbstractReader):
        return network(given)
    if condition(given) is not None:
        raise UsageError(
            f"the model has a condition, which {type(network).__name__} does not read: expected "
            "tightbound.networks.WithCondition(network), which sees it behind the other numbers, "
            "or a network that is a tightbound.networks.AbstractReader"
        )
    return network(values(given))


class Reshaped(AbstractReader):
    """A network of items that come as one vector each, laid out in their own shape."""

    network: Callable[..., Any]
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, given: Float[Array, " n"] | Datum) -> Any:
        """The output for one datum."""
        if isinstance(given, Datum):
            observed = None if given.observed is None else given.observed.reshape(self.shape)
            given = Datum(given.x.reshape(self.shape), observed, given.condition)
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
        observed = given.observed if isinstance(given, Datum) else None
        mask = jnp.ones_like(x) if observed is None else jnp.ravel(observed)
        both = jnp.concatenate([x, jnp.astype(mask, x.dtype)])
        beside = condition(given)
        return read(self.network, both if beside is None else Datum(both, condition=beside))
