"""Any NumPyro model with continuous latents as a target on R^dim.

Phan, Pradhan & Jankowiak 2019, arXiv 1912.11554 (NumPyro). Latents are moved to the real numbers
(`site_laws`), and the density counts the Jacobians: its integral Z is the evidence of the data that
the model is conditioned on, if all latents have a normalised density (`numpyro_sites`).
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError
from tightbound.distributions import AbstractExplicit, NoPrior
from tightbound.models.numpyro.conditioned import Conditioned, Values
from tightbound.models.numpyro.site_laws import continued
from tightbound.models.target import Density, LogDensity, Target

EARLIER = 0.8
"""Share of the limits (`site_laws.LIMITS`) within which a density is checked against itself."""


class SitesPrior(AbstractExplicit):
    """The joint law of a NumPyro model's latents, moved to R^dim."""

    conditioned: Conditioned = eqx.field(static=True)

    @property
    def support(self) -> str:
        """All real numbers."""
        return "real"

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw."""
        del given
        return self.conditioned.draw(key)

    def log_prob(self, value: Float[Array, " dim"], given: Any = None) -> Float[Array, ""]:
        """Log-density in nats, with the Jacobians."""
        del given
        return self.conditioned.log_prior(value)

    def mean(self, given: Any = None) -> Float[Array, " dim"]:
        """The origin of R^dim, in place of a mean that is not known."""
        del given
        return jnp.zeros(self.conditioned.dim)


class NumPyroTarget(Target):
    """The posterior of a NumPyro model on R^dim; its log Z is the log-evidence of the data.

    The prior is the joint law of the latents and can be drawn; where NumPyro has no draws of a
    site there is none, and the density is one function.
    """

    conditioned: Conditioned = eqx.field(static=True)

    def __init__(self, conditioned: Conditioned) -> None:
        """Takes the latents' law as the prior, if it can be drawn."""
        self.conditioned = conditioned
        if _drawn(conditioned):
            self.prior = SitesPrior(conditioned)
            self.likelihood = Density(conditioned.log_likelihood)
        else:
            self.prior = NoPrior(conditioned.dim)
            self.likelihood = Density(
                lambda z: conditioned.log_prior(z) + conditioned.log_likelihood(z)
            )

    @property
    def continued(self) -> LogDensity | None:
        """The log-density by other means where values, as floats, no longer tell their z.

        There the likelihood goes on as a straight line in z, and so does the prior, where it has
        to, from an earlier point: what comes out differently has been spoilt by rounding. None if
        all values tell their z.
        """
        conditioned = self.conditioned
        if conditioned.everywhere:
            return None
        return lambda z: (
            conditioned.log_prior(z, EARLIER)
            + continued(conditioned.log_likelihood, conditioned.within(z, EARLIER), z)
        )

    @property
    def dim(self) -> int:
        """Number of unconstrained dimensions, the length of z."""
        return self.conditioned.dim

    @property
    def sites(self) -> dict[str, tuple[int, ...]]:
        """Latent sites in the order of z, with the shapes of their values."""
        z = jax.ShapeDtypeStruct((self.dim,), jnp.float32)
        values = eqx.filter_eval_shape(self.conditioned.constrain, z, deterministic=False)
        return {name: values[name].shape for name in self.conditioned.names}

    def constrain(self, z: Float[Array | np.ndarray, "*batch dim"]) -> Values:
        """Values by the names of latent and deterministic sites, on their own supports.

        Args:
            z: Unconstrained values of shape (dim,), or batches of them.

        Returns:
            For each site an array of the batch's shape followed by the site's own.

        Raises:
            UsageError: Another last dimension than dim.
        """
        if jnp.shape(z)[-1:] != (self.dim,):
            raise UsageError(f"expected z of shape (..., {self.dim}), got {jnp.shape(z)}")
        return _constrained(self.conditioned, jnp.asarray(z))


def from_numpyro(model: Callable[..., Any], *args: Any, **kwargs: Any) -> NumPyroTarget:
    """Makes a target of a NumPyro model: its posterior, up to the evidence, on R^dim.

    Data are what the model observes: by `obs=`, from the arguments, or by
    `numpyro.handlers.condition`. `tb.evaluate` then estimates the model's log-evidence.

    Args:
        model: Any NumPyro model with continuous latents; constrained ones (positive, simplex,
            Cholesky factors, ...) are moved to the real numbers.
        *args: The model's arguments.
        **kwargs: The model's arguments by name.

    Returns:
        A `Target` that also knows the sites: `target.constrain(z)` gives values by name.

    Raises:
        UsageError: Latents that are discrete, fixed or without a normalised density, such as those
            of `obs_mask=` (they are named), no latents, `param` sites, observed sites under
            `handlers.scale`, or plates that take a part of the data.
    """
    return NumPyroTarget(Conditioned(model, args, kwargs))


@filter_jit
def _constrained(conditioned: Conditioned, z: Float[Array, "*batch dim"]) -> Values:
    """Values by site for any batch."""

    def one(z: Float[Array, " dim"]) -> Values:
        return conditioned.constrain(z, deterministic=True)

    for _ in range(z.ndim - 1):
        one = jax.vmap(one)
    return one(z)


def _drawn(conditioned: Conditioned) -> bool:
    """Whether the latents can be drawn: a distribution of the user's own may have no draws."""
    try:
        jax.eval_shape(conditioned.draw, jax.random.key(0))
    except (NotImplementedError, ImportError):  # the latter from optional packages of NumPyro
        return False
    return True
