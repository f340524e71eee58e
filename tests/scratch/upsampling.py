"""A convolutional decoder whose last layer gives the parameters; for a test that adds a network."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import streams


class Upsampling(eqx.Module):
    """From a vector to an image of 6 x 6."""

    spread: eqx.nn.Linear
    last: eqx.nn.ConvTranspose2d

    @staticmethod
    def of(latent: int, *, key: PRNGKeyArray) -> "Upsampling":
        """A decoder of so many latents."""
        first, second = streams(key, "upsampling.spread", "upsampling.last")
        return Upsampling(
            eqx.nn.Linear(latent, 4 * 3 * 3, key=first),
            eqx.nn.ConvTranspose2d(4, 1, 2, stride=2, key=second),
        )

    def __call__(self, z: Float[Array, " n_in"]) -> Float[Array, "1 6 6"]:
        """The image of one item."""
        return self.last(jax.nn.relu(self.spread(z)).reshape(4, 3, 3))
