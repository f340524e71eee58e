"""Networks that are given features of a part of their input in its place: of an image, say."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.core.items import Datum, One, condition, values
from tightbound.networks.holes import AbstractReader, read


class OnPart(AbstractReader):
    """A network of one vector, of which the numbers from `start` until `stop` become features.

    Mask and condition are the features' network's alone.
    """

    network: Callable[[Float[Array, " n_in"]], Float[Array, " n_out"]]
    features: Callable[..., Float[Array, " n_h"]]
    start: int = eqx.field(static=True)
    stop: int = eqx.field(static=True)

    def __call__(self, given: One) -> Float[Array, " n_out"]:
        """The output for one item."""
        x, part = values(given), slice(self.start, self.stop)
        seen: One = x[part]
        if isinstance(given, Datum):
            known = None if given.observed is None else given.observed[part]
            seen = Datum(x[part], known, condition(given))
        h = read(self.features, seen)
        return self.network(jnp.concatenate([x[: self.start], h, x[self.stop :]]))


def features_of_part(tree: Any) -> Callable[..., Float[Array, " n_h"]] | None:
    """What makes the features in the first network of this kind in a tree; None without one."""
    is_on_part = lambda node: isinstance(node, OnPart)  # noqa: E731
    found = [leaf for leaf in jax.tree.leaves(tree, is_on_part) if is_on_part(leaf)]
    return found[0].features if found else None
