"""An unnormalised density by itself: whatever is estimated of it, there are no data."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.distributions import AbstractExplicit, NoPrior
from tightbound.models.model import Model

LogDensity = Callable[[Float[Array, " dim"]], Float[Array, ""]]


class Target(Model):
    """A density exp(log_density(z)) on R^dim, known up to its integral Z.

    It is a `Model` of one datum without columns, whose evidence is Z: what takes a model and data
    takes a target and no data, and a "posterior" is any distribution on R^dim that ignores what it
    is given (`StandardNormal(dim)`, say).

    Args:
        log_density: Of one z of shape (dim,), in nats; traceable by JAX.
        dim: Number of dimensions.
        prior: A distribution on R^dim from which draws may start where methods start at a prior:
            the rest of the density then counts as likelihood. Left out, there is none, and those
            methods need a `start`.

    Raises:
        UsageError: dim < 1, a density that is no scalar, or a prior that is not on R^dim.
    """

    def __init__(
        self, log_density: LogDensity, dim: int, *, prior: AbstractExplicit | None = None
    ) -> None:
        """Splits the density into a prior, if there is one, and a likelihood.

        Args:
            log_density: Of one z of shape (dim,), in nats; traceable by JAX.
            dim: Number of dimensions.
            prior: A distribution on R^dim from which draws may start where methods start at a
                prior: the rest of the density then counts as likelihood. Left out, there is none,
                and those methods need a `start`.

        Raises:
            UsageError: dim < 1, a density that is no scalar, or a prior that is not on R^dim.
        """
        (dim,) = at_least(1, dim=dim)
        z = jax.ShapeDtypeStruct((dim,), jnp.float32)
        value = eqx.filter_eval_shape(log_density, z)
        if getattr(value, "shape", None) != ():
            raise UsageError(
                f"expected log_density of z of shape ({dim},) to be one number, got {value}"
            )
        if prior is None:
            self.prior = NoPrior(dim)
            self.likelihood = Density(log_density)
            return
        drawn = eqx.filter_eval_shape(lambda key: prior.sample(None, key=key), jax.random.key(0))
        if prior.support != "real" or getattr(drawn, "shape", None) != (dim,):
            raise UsageError(
                f"expected a prior on R^{dim}, got {type(prior).__name__} with {prior.support} "
                f"values: {drawn}"
            )
        self.prior = prior
        self.likelihood = Density(lambda z: log_density(z) - prior.log_prob(z, None))


class Density(AbstractExplicit):
    """A factor exp(log_density(given)) that stands where a model has its likelihood."""

    log_density: LogDensity

    @property
    def support(self) -> str:
        """Where values must lie; there are none."""
        return "real"

    @property
    def offers(self) -> frozenset[str]:
        """The density and its score: there are no data to draw."""
        return frozenset({"density", "score"})

    def sample(self, given: Float[Array, " dim"], *, key: PRNGKeyArray) -> Float[Array, " none"]:
        """The datum without columns."""
        return jnp.zeros(0, given.dtype)

    def log_prob(
        self, value: Float[Array, " none"], given: Float[Array, " dim"]
    ) -> Float[Array, ""]:
        """Log-density at `given`, in nats."""
        return jnp.asarray(self.log_density(given))

    def mean(self, given: Float[Array, " dim"]) -> Float[Array, " none"]:
        """The datum without columns."""
        return jnp.zeros(0, given.dtype)
