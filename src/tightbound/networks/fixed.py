"""Numbers of a model that are no parameters: data that it holds, known matrices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


class Fixed(eqx.Module):
    """An array in float32, kept as its bits: no optimiser may take it for parameters."""

    bits: Int[Array, "..."]

    @staticmethod
    def of(values: Float[np.ndarray, "..."]) -> "Fixed":
        """Keeps these numbers."""
        return Fixed(jnp.asarray(np.ascontiguousarray(values, np.float32).view(np.int32)))

    @property
    def values(self) -> Float[Array, "..."]:
        """The numbers."""
        return jax.lax.bitcast_convert_type(self.bits, jnp.float32)
