"""A recurrent network over the steps of a sequence: gated recurrent units, in either direction.

Cho et al. 2014, arXiv 1406.1078, eq. 5-8, with the reset gate behind the product with the state, so
that one product serves all gates (Chung et al. 2014, arXiv 1412.3555, compare units).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.networks.dense import Dense


class Recurrent(eqx.Module):
    """Gated recurrent units: a state for each step, of the steps up to it or from it on.

    `inputs` and `states` hold the maps of the reset gate, the update gate and the proposal, in this
    order, side by side.
    """

    inputs: Dense
    states: Dense
    backwards: bool = eqx.field(static=True, default=False)
    """Whether it goes from the last step to the first."""

    @staticmethod
    def glorot(n_in: int, size: int, *, backwards: bool = False, key: PRNGKeyArray) -> "Recurrent":
        """Units of that number for inputs of `n_in` numbers; weights by Glorot's rule."""
        inputs, states = streams(key, "recurrent.inputs", "recurrent.states")
        return Recurrent(
            Dense.glorot(n_in, 3 * size, key=inputs),
            Dense.glorot(size, 3 * size, key=states),
            backwards,
        )

    @property
    def size(self) -> int:
        """Numbers of a state."""
        return self.states.weight.shape[0]

    def __call__(
        self, x: Float[Array, "steps n_in"], live: Bool[Array, " steps"] | None = None
    ) -> Float[Array, "steps size"]:
        """The state behind each step, which starts at zero; a step that is not live moves none."""
        start = jnp.zeros(self.size, x.dtype)

        def step(state: Float[Array, " size"], given: tuple) -> tuple:
            from_input, alive = given
            new = self.moved(state, from_input)
            new = new if alive is None else jnp.where(alive, new, state)
            return new, new

        given = jax.vmap(self.inputs)(x), live
        return jax.lax.scan(step, start, given, reverse=self.backwards)[1]

    def moved(
        self, state: Float[Array, " size"], from_input: Float[Array, " three_size"]
    ) -> Float[Array, " size"]:
        """The next state, for what `inputs` makes of the step."""
        resets, updates, proposes = jnp.split(from_input, 3)
        r, u, p = jnp.split(self.states(state), 3)
        update = jax.nn.sigmoid(updates + u)
        proposal = jnp.tanh(proposes + jax.nn.sigmoid(resets + r) * p)
        return update * state + (1 - update) * proposal
