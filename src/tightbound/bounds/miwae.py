"""The mean of several importance weighted bounds, each on its own draws.

Reference: Rainforth et al. 2018, arXiv 1802.04537 ("Tighter variational bounds are not necessarily
better"), MIWAE. Not the bound for missing data of the same name (Mattei & Frellsen 2019).
Bias: that of the importance weighted bound on the draws of one group, whatever their number.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tightbound.bounds.abstract import AbstractBound
from tightbound.bounds.iwae import IWAE


class MIWAE(AbstractBound):
    """(1/m) sum over m groups of log (1/k) sum_i w_i: the bound L_k in nats, less variable."""

    m: int = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """A lower bound."""
        return "lower"

    def value(self, log_w: Float[Array, " mk"]) -> Float[Array, ""]:
        """The mean over the groups, which are consecutive draws."""
        return jnp.mean(jax.vmap(IWAE().value)(self._groups(log_w)))

    def weights(self, log_w: Float[Array, " mk"]) -> Float[Array, " mk"]:
        """The normalised importance weights within the groups, over m."""
        return jax.vmap(IWAE().weights)(self._groups(log_w)).reshape(-1) / self.m

    def path_weights(self, log_w: Float[Array, " mk"]) -> Float[Array, " mk"]:
        """The squares of the normalised weights within the groups, over m."""
        return jax.vmap(IWAE().path_weights)(self._groups(log_w)).reshape(-1) / self.m

    def signals(self, log_w: Float[Array, " mk"]) -> Float[Array, " mk"]:
        """The bound of a draw's own group, over m."""
        groups = self._groups(log_w)
        return jax.vmap(IWAE().signals)(groups).reshape(-1) / self.m

    def _groups(self, log_w: Float[Array, " mk"]) -> Float[Array, "m k"]:
        return log_w.reshape(self.m, -1)
