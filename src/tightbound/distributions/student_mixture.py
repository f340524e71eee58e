"""A mixture of multivariate Student-t laws: one proposal for a density with several modes.

Reference: Cappe, Douc, Guillin, Marin & Robert 2008, Stat. Comput. 18, arXiv 0710.4242 (such
mixtures as proposals). Tails heavier than a normal's keep importance weights bounded wherever the
target falls faster.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import ArrayLike

from tightbound.core.errors import UsageError
from tightbound.core.streams import streams
from tightbound.distributions.contracts import AbstractExplicit


class StudentMixture(AbstractExplicit):
    """Sum of c components t(mean, factor factor', dof) with shares; it ignores what it is given.

    It keeps the inverses of its factors, so that its density is matrix products alone.
    """

    log_share: Float[Array, " c"]
    location: Float[Array, "c d"]
    factor: Float[Array, "c d d"]
    inverse: Float[Array, "c d d"]
    log_volume: Float[Array, " c"]
    dof: int = eqx.field(static=True)

    @staticmethod
    def of(
        share: ArrayLike,
        location: ArrayLike,
        factor: ArrayLike,
        *,
        dof: int = 6,
        components: int | None = None,
    ) -> "StudentMixture":
        """A mixture from its shares, locations and factors of the scale matrices.

        Args:
            share: Weights of shape (c,), which need not sum to one.
            location: Of shape (c, d).
            factor: Square roots of the scale matrices, of shape (c, d, d), any that are regular.
            dof: Degrees of freedom, a whole number above 2.
            components: Places for components, of which those beyond c stay empty: mixtures of
                different c then share one program.

        Raises:
            UsageError: Shapes that do not fit, dof below 3, fewer places than components, or a
                scale matrix that is singular.
        """
        share, location, factor = (np.asarray(a, np.float64) for a in (share, location, factor))
        c, d = location.shape
        if share.shape != (c,) or factor.shape != (c, d, d) or dof < 3:
            raise UsageError(
                f"expected shares ({c},), factors ({c}, {d}, {d}) and dof of 3 or more, got "
                f"{share.shape}, {factor.shape} and {dof}"
            )
        if components is not None and components < c:
            raise UsageError(f"expected places for {c} components, got {components}")
        sign, log_volume = np.linalg.slogdet(factor)
        if np.any(sign == 0):
            raise UsageError("expected scale matrices that are regular, got a singular one")
        log_share = np.log(share) - np.log(np.sum(share))
        empty = (c if components is None else components) - c
        places = np.concatenate([np.arange(c), np.zeros(empty, int)])
        with_empty = np.concatenate([log_share, np.full(empty, -np.inf)])
        rest = (location, factor, np.linalg.inv(factor), log_volume)
        arrays = (with_empty, *(a[places] for a in rest))
        return StudentMixture(*(jnp.asarray(a, jnp.float32) for a in arrays), dof=dof)

    @property
    def support(self) -> str:
        """All real numbers."""
        return "real"

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw."""
        del given
        which_key, normal_key, scale_key = streams(
            key, "student_mixture.which", "student_mixture.normal", "student_mixture.scale"
        )
        which = jax.random.categorical(which_key, self.log_share)
        # Chi-squared as a sum of squares: its sampler for any real dof takes seconds to compile.
        chi2 = jnp.sum(jax.random.normal(scale_key, (self.dof,)) ** 2)
        white = jax.random.normal(normal_key, (self.location.shape[1],))
        return self.location[which] + self.factor[which] @ (white * jnp.sqrt(self.dof / chi2))

    def log_prob(self, value: Float[Array, " d"], given: Any = None) -> Float[Array, ""]:
        """Log-density in nats."""
        del given
        return jax.nn.logsumexp(self.log_each(value))

    def log_each(self, value: Float[Array, " d"]) -> Float[Array, " c"]:
        """Log of share times density of each component, in nats."""
        d, dof = self.location.shape[1], self.dof
        constant = math.lgamma((dof + d) / 2) - math.lgamma(dof / 2)
        constant -= d / 2 * math.log(dof * math.pi)
        white = jnp.einsum("cij,cj->ci", self.inverse, value[None] - self.location)
        far = jnp.log1p(jnp.sum(white**2, axis=1) / dof)
        return self.log_share + constant - (dof + d) / 2 * far - self.log_volume

    def mean(self, given: Any = None) -> Float[Array, " d"]:
        """The mean."""
        del given
        return jnp.exp(self.log_share) @ self.location
