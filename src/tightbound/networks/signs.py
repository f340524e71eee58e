"""Noise that jumps: a network that sees the signs of noise too can send it to modes far apart.

Without them a network, which is continuous, has to lay a bridge of draws from mode to mode, and an
objective that pays for each draw between modes rather leaves a mode out.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class WithSigns(eqx.Module):
    """A network of its input and of the signs of the first `noise` numbers, which it hands on too.

    It takes `noise` numbers more than it is given, and that many stand behind its output.
    """

    network: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    noise: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, " n_x"]) -> Float[Array, " n_out"]:
        """The output for one item, and the signs."""
        signs = jnp.sign(x[: self.noise])
        return jnp.concatenate([self.network(jnp.concatenate([x, signs])), signs])
