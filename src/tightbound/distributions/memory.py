"""What a step is given of all values and states before it: one vector, by gated recurrent units.

Chung, Kastner, Dinh, Goel, Courville & Bengio 2015, arXiv 1506.02216, eq. 7: h_t = f(h_{t-1}, x_t,
z_t). There networks make features of x_t and z_t first; here both go into the units as they are.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.items import Datum
from tightbound.core.streams import streams
from tightbound.distributions.structured import seen_steps
from tightbound.networks import Dense, Features, Recurrent, Standardization


class Memory(eqx.Module):
    """h_t = GRU(h_{t-1}, x_t, z_t); what stands for h_0 is learned.

    Units see a step's values by `view`, 0 where they are missing, and behind them the mask. Their
    part of the products is that of all steps and all draws at once (`contexts`).
    """

    units: Recurrent
    """Its inputs are what is seen of x_t."""
    latents: Dense
    """From z_t to what is added to the units' inputs."""
    start: Float[Array, " h"]
    view: Standardization | Features | None
    """What is seen of a step; None for its values."""

    @staticmethod
    def of(
        seen: int,
        latent: int,
        hidden: int,
        view: Standardization | Features | None,
        key: PRNGKeyArray,
    ) -> "Memory":
        """So many units, for `seen` numbers of a step with its mask and states of `latent` ones."""
        units, latents = streams(key, "memory.units", "memory.latents")
        return Memory(
            units=Recurrent.glorot(seen, hidden, key=units),
            latents=Dense.glorot(latent, 3 * hidden, key=latents),
            start=jnp.zeros(hidden),
            view=view,
        )

    @property
    def size(self) -> int:
        """Numbers of h."""
        return self.units.size

    def contexts(self, given: Any, steps: int) -> Float[Array, "steps three_h"]:
        """What the units make of each step of a datum; of None as of one without a known value."""
        if given is None:
            seen = jnp.zeros((steps, self.units.inputs.weight.shape[0]))
        else:
            seen = seen_steps(given, self.view)
        return jax.vmap(self.units.inputs)(seen)

    def context(self, x: Datum) -> Float[Array, " three_h"]:
        """What the units make of one step, of shape (d,)."""
        return self.contexts(jax.tree.map(lambda leaf: leaf[None], x), 1)[0]

    def after(
        self, before: Float[Array, " h"], z: Float[Array, " m"], context: Float[Array, " three_h"]
    ) -> Float[Array, " h"]:
        """The memory behind a step."""
        return self.units.moved(before, context + self.latents(z))

    def befores(
        self, z: Float[Array, "steps m"], contexts: Float[Array, "steps three_h"]
    ) -> Float[Array, "steps h"]:
        """The memory before each step of a path."""

        def step(before: Float[Array, " h"], given: tuple) -> tuple:
            return self.after(before, *given), before

        return jax.lax.scan(step, self.start, (z, contexts))[1]
