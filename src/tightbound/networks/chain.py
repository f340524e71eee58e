"""Networks one behind the other."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float

from tightbound.core.items import One
from tightbound.networks.holes import AbstractReader, read


class Chain(AbstractReader):
    """The last network of what the others before it give, from the datum on."""

    networks: tuple[Callable[..., Any], ...]

    def __call__(self, given: One) -> Float[Array, " n_out"]:
        """The last output, for one item."""
        found: Any = given
        for network in self.networks:
            found = read(network, found)
        return found
