"""A conditional that is given features of a datum, as one of the datum itself."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Float

from tightbound.core.items import One
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.through import AbstractThrough
from tightbound.networks import read


class OnFeatures(AbstractThrough):
    """q(z|x) = q(z|h) with h = trunk(x), which is computed once for a draw and its density."""

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    conditional: AbstractExplicit

    def _seen(self, given: One) -> Any:
        return read(self.trunk, given)
