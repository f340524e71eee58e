"""The variational mixture of posteriors: a prior made of the posterior at pseudo-inputs.

Tomczak & Welling 2018, arXiv 1705.07120, eq. 9 (VampPrior).
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import streams
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.networks import Standardization


class VampPrior(AbstractExplicit):
    """Sum over c of q(z|u_c) / C, at C pseudo-inputs u_c that are learned.

    Its encoder is the model's own posterior: both hold the same numbers, which a fit keeps equal
    (`tightbound.models.sharing`). Pseudo-inputs begin as rows of the training data.
    """

    inputs: Float[Array, "c d"]
    """Pseudo-inputs in standardised units, so that a step of an optimiser suits any column."""
    units: Standardization | None
    encoder: AbstractExplicit
    """Q(z|x); of several layers that of the top one."""

    @staticmethod
    def of(
        x: Float[np.ndarray, "n d"],
        components: int,
        encoder: AbstractExplicit,
        *,
        key: PRNGKeyArray,
    ) -> "VampPrior":
        """At so many rows of x, drawn at random; means of columns stand for holes.

        Raises:
            UsageError: More components than rows.
        """
        if components > len(x):
            raise UsageError(
                f"prior='vamp' begins at rows of the data: expected components <= {len(x)}, got "
                f"{components}"
            )
        units = Standardization.of(x)
        rows = np.sort(np.asarray(jax.random.permutation(key, len(x))[:components]))
        inputs = jnp.asarray(x[rows], jnp.float32)
        inputs = inputs if units is None else units(inputs)
        return VampPrior(jnp.nan_to_num(inputs), units, encoder)

    @property
    def offers(self) -> frozenset[str]:
        """Draws, the density and its score."""
        return frozenset({"samples", "density", "score"})

    @property
    def support(self) -> str:
        """Where values must lie."""
        return self.encoder.support

    @property
    def reparameterized(self) -> bool:
        """Which component a draw is of is no differentiable function of anything."""
        return False

    @property
    def pseudo_inputs(self) -> Float[Array, "c d"]:
        """In the data's units."""
        return self.inputs if self.units is None else self.units.inverse(self.inputs)

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw, differentiable in its component's parameters alone."""
        del given
        which_key, key = streams(key, "vamp_prior.which", "vamp_prior.z")
        which = jax.random.randint(which_key, (), 0, len(self.inputs))
        return self.encoder.sample(self.pseudo_inputs[which], key=key)

    def log_prob(self, value: Float[Array, " dim"], given: Any = None) -> Float[Array, ""]:
        """Log-density in nats."""
        del given
        each = jax.vmap(lambda x: self.encoder.log_prob(value, x))(self.pseudo_inputs)
        return jax.nn.logsumexp(each) - math.log(len(self.inputs))

    def mean(self, given: Any = None) -> Float[Array, " dim"]:
        """The mean over components."""
        del given
        return jnp.mean(jax.vmap(self.encoder.mean)(self.pseudo_inputs), axis=0)
