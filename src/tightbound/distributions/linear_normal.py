"""The normal with a mean that is affine in what is given, and a full covariance: N(W z + b, S).

Its marginals and conditionals are those of a normal, so that entries may be missing.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.finite import GaussianComponents
from tightbound.distributions.triangular import HIGHEST


class LinearNormal(AbstractExplicit):
    """N(W z + b, L L'), or N(b, L L') where nothing is given."""

    weight: Float[Array, "dim n_in"] | None
    """W; None where nothing is given."""
    noise: GaussianComponents
    """One component, N(b, L L')."""

    @staticmethod
    def of(
        weight: Float[np.ndarray, "dim n_in"] | None,
        offset: Float[np.ndarray, " dim"],
        covariance: Float[np.ndarray, "dim dim"],
        what: str,
    ) -> "LinearNormal":
        """From W, b and the covariance.

        Raises:
            UsageError: Shapes that do not fit, or a matrix that is no covariance.
        """
        (dim,) = offset.shape
        if covariance.shape != (dim, dim) or not np.allclose(covariance, covariance.T):
            raise UsageError(
                f"expected {what} as a symmetric matrix of shape ({dim}, {dim}), got "
                f"{covariance.shape}"
            )
        try:
            factor = np.linalg.cholesky(np.asarray(covariance, np.float64))
        except np.linalg.LinAlgError as error:
            raise UsageError(f"expected {what} to be positive definite, and it is not") from error
        below = factor[np.tril_indices(dim, -1)]
        noise = GaussianComponents(
            jnp.asarray(offset[None], jnp.float32),
            jnp.asarray(np.log(np.diagonal(factor))[None], jnp.float32),
            jnp.asarray(below[None], jnp.float32),
        )
        return LinearNormal(None if weight is None else jnp.asarray(weight, jnp.float32), noise)

    @property
    def support(self) -> str:
        """All real numbers."""
        return "real"

    @property
    def covariance(self) -> Float[Array, "dim dim"]:
        """L L'."""
        return self.noise.covariances()[0]

    @property
    def offset(self) -> Float[Array, " dim"]:
        """B."""
        return self.noise.means[0]

    def sample(self, given: Any, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One reparameterised draw."""
        return self._shift(given) + self.noise.sample(self._one, key=key)

    def log_prob(self, value: Float[Array, " dim"], given: Any) -> Float[Array, ""]:
        """Log-density in nats."""
        return self.noise.log_prob(value - self._shift(given), self._one)

    def log_prob_observed(
        self, value: Float[Array, " dim"], observed: Bool[Array, " dim"], given: Any
    ) -> Float[Array, ""]:
        """Log-density of the observed entries in nats."""
        return self.noise.log_prob_observed(value - self._shift(given), observed, self._one)

    def sample_missing(
        self,
        value: Float[Array, " dim"],
        observed: Bool[Array, " dim"],
        given: Any,
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, " dim"]:
        """One draw of the other entries given the observed ones."""
        shift = self._shift(given)
        drawn = self.noise.sample_missing(value - shift, observed, self._one, key=key)
        return jnp.where(observed, value, shift + drawn)

    def mean_missing(
        self, value: Float[Array, " dim"], observed: Bool[Array, " dim"], given: Any
    ) -> Float[Array, " dim"]:
        """What is expected of the other entries given the observed ones."""
        shift = self._shift(given)
        mean = self.noise.mean_missing(value - shift, observed, self._one)
        return jnp.where(observed, value, shift + mean)

    def mean(self, given: Any) -> Float[Array, " dim"]:
        """W z + b."""
        return self._shift(given) + self.offset

    @property
    def _one(self) -> Float[Array, " k"]:
        return jnp.ones(1, self.noise.means.dtype)

    def _shift(self, given: Any) -> Float[Array, " dim"]:
        if self.weight is None:
            return jnp.zeros_like(self.offset)
        return jnp.matmul(self.weight, given, precision=HIGHEST)
