"""The gated transition of deep Markov models: between an affine step and one by a network.

Krishnan, Shalit & Sontag 2017, arXiv 1609.09869, section "Deep Markov models" (gated transition
function). With g = sigmoid(MLP(z)) and h = MLP(z) the next state is normal with

    mean (1 - g) * (W z + b) + g * h  and variance softplus(V relu(h) + c),

where W starts as the identity and b as zero.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.networks import AbstractLayer, Dense, Joined

LEAST = 1e-6
"""Added to variances: that of softplus underflows, where its logarithm has no gradient."""


class IdentityDense(AbstractLayer):
    """An affine map that starts as the identity, in further replicas too."""

    weight: Float[Array, "n_in n_out"]
    bias: Float[Array, " n_out"]
    spread: float | None = eqx.field(static=True, default=None)

    @staticmethod
    def of(size: int) -> "IdentityDense":
        """The identity of so many numbers."""
        return IdentityDense(jnp.eye(size), jnp.zeros(size))

    def by_rule(self, key: PRNGKeyArray) -> "IdentityDense":
        """The identity; the key draws nothing."""
        del key
        return dataclasses.replace(self, weight=jnp.eye(self.bias.shape[0]))

    def __call__(self, x: Float[Array, " n_in"]) -> Float[Array, " n_out"]:
        """Applies the map to one item."""
        return x @ self.weight + self.bias


class GatedNormal(AbstractExplicit):
    """A diagonal normal of the next state given one, by the gated transition."""

    gate: Joined
    proposal: Joined
    affine: IdentityDense
    variance: Dense

    @staticmethod
    def of(size: int, hidden: int, *, key: PRNGKeyArray) -> "GatedNormal":
        """For states of `size` numbers, on networks with one hidden layer of so many units."""
        gate, proposal, variance = streams(
            key, "gated_normal.gate", "gated_normal.proposal", "gated_normal.variance"
        )
        gate, proposal = (
            Joined.glorot(size, (hidden,), size, activation="relu", key=k) for k in (gate, proposal)
        )
        affine = IdentityDense.of(size)
        return GatedNormal(gate, proposal, affine, Dense.glorot(size, size, key=variance))

    @property
    def support(self) -> str:
        """All real numbers."""
        return "real"

    def sample(self, given: Float[Array, " m"], *, key: PRNGKeyArray) -> Float[Array, " m"]:
        """One reparameterised draw."""
        return self.sample_and_log_prob(given, key=key)[0]

    def sample_and_log_prob(
        self, given: Float[Array, " m"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " m"], Float[Array, ""]]:
        """One reparameterised draw and its log-density in nats."""
        location, scale = self.parameters(given)
        value = location + scale * jax.random.normal(key, location.shape)
        return value, jnp.asarray(dist.Normal(location, scale).to_event(1).log_prob(value))

    def log_prob(self, value: Float[Array, " m"], given: Float[Array, " m"]) -> Float[Array, ""]:
        """Log-density in nats."""
        return jnp.asarray(dist.Normal(*self.parameters(given)).to_event(1).log_prob(value))

    def mean(self, given: Float[Array, " m"]) -> Float[Array, " m"]:
        """The mean."""
        return self.parameters(given)[0]

    def parameters(
        self, given: Float[Array, " m"]
    ) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        """Mean and standard deviation of the next state."""
        gate = jax.nn.sigmoid(self.gate(given))
        proposal = self.proposal(given)
        location = (1 - gate) * self.affine(given) + gate * proposal
        variance = jax.nn.softplus(self.variance(jax.nn.relu(proposal))) + LEAST
        return location, jnp.sqrt(variance)
