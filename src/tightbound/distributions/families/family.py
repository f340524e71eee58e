"""What a family of the catalogue is: parameters, draws, density, support, and a centre."""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

INVERSE_CDF, LOCATION_SCALE, COMPOSITION = "inverse CDF", "location-scale", "composition"
SOURCE = "Kingma & Welling 2013, arXiv 1312.6114, section 2.4"
IMPLICIT = f"{SOURCE}; Figurnov et al. 2018, arXiv 1805.08498"
"""For families of gamma draws, whose derivatives in the shape are implicit."""
SMALLEST_SHAPE = 1e-3
EDGE = 1e-6
LARGEST_LOG = 80.0
"""Draws of positive families stay within exp(+-80), so that they and their logs are finite."""


class Parameter(NamedTuple):
    """One parameter: its constraint, and its value in the family's standard member.

    A network gives a free number per unit; `value` maps it into the constraint, and zero to the
    standard member. Scales and rates ("positive") are exponentials. Shapes and degrees of freedom
    ("shape") are softpluses above 0.001: they grow no faster than the free number, and densities
    stay finite. "shared shape" is one number for all units; "Cholesky factor" is a free lower
    triangle, row by row, with the exponential of its diagonal.
    """

    name: str
    constraint: str
    standard: float

    def size(self, dim: int) -> int:
        """How many free numbers there are for `dim` units."""
        return {"Cholesky factor": dim * (dim + 1) // 2, "shared shape": 1}.get(
            self.constraint, dim
        )

    def value(self, free: Float[Array, " size"]) -> Float[Array, "..."]:
        """The parameter, of shape (dim,), (dim, dim) for a Cholesky factor, or ()."""
        if self.constraint == "real":
            return self.standard + free
        if self.constraint == "positive":
            return self.standard * jnp.exp(free)
        if self.constraint == "unit":
            unit = jax.nn.sigmoid(free + math.log(self.standard / (1.0 - self.standard)))
            return jnp.clip(unit, EDGE, 1.0 - EDGE)
        if self.constraint == "Cholesky factor":
            return _cholesky_factor(self.standard, free)
        # softplus(free + c) is standard - SMALLEST_SHAPE at free = 0.
        c = math.log(math.expm1(self.standard - SMALLEST_SHAPE))
        shape = SMALLEST_SHAPE + jax.nn.softplus(free + c)
        return shape[0] if self.constraint == "shared shape" else shape


@dataclasses.dataclass(frozen=True)
class Family:
    """A family of distributions whose draws are differentiable functions of the parameters.

    `draw`, `log_density` and `centre` take the parameters in the order of `parameters`, for all
    units of one draw. `log_density` is in nats, per unit or for all units together.
    """

    name: str
    routes: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    support: str
    """Where draws lie whatever the parameters: "real", "positive", "unit" or "simplex"."""
    draw: Callable[..., Float[Array, " dim"]]
    log_density: Callable[..., Float[Array, "..."]]
    centre: Callable[..., Float[Array, " dim"]]
    centre_is: str = "mean"
    """What `centre` is; the mean only where it exists for all parameters."""
    interval: str | None = None
    """The support in the parameters, if it moves with them."""
    standard_support: str | None = None
    """The support of the standard member, if the support moves."""
    prior: str | None = None
    """The family of the usual prior for a posterior of this one; None: this family itself."""
    source: str = SOURCE

    @property
    def fixed_support(self) -> bool:
        """Whether the support is the same for all parameters."""
        return self.interval is None

    @property
    def prior_support(self) -> str:
        """Where draws of the standard member lie, which is the usual prior."""
        return self.standard_support or self.support

    def sizes(self, dim: int) -> tuple[int, ...]:
        """Free numbers of each parameter for `dim` units."""
        return tuple(parameter.size(dim) for parameter in self.parameters)

    def values(self, free: tuple[Float[Array, " _size"], ...]) -> tuple[Float[Array, "..."], ...]:
        """All parameters from free numbers; zeros give the standard member."""
        return tuple(
            parameter.value(one) for parameter, one in zip(self.parameters, free, strict=True)
        )


def open_uniform(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Uniform draws from the midpoints of 2^23 cells of (0, 1): never zero, never one."""
    return jax.random.uniform(key, shape) + 2.0**-24


def exponential(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Standard exponential draws -log(u), between 6e-8 and 16.7."""
    return -jnp.log(open_uniform(key, shape))


def positive(log_value: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """exp, kept within exp(+-80): neither zero nor infinite in float32."""
    return jnp.exp(jnp.clip(log_value, -LARGEST_LOG, LARGEST_LOG))


def density_of(kind: type[dist.Distribution]) -> Callable[..., Float[Array, "..."]]:
    """The log-density of one of NumPyro's classes, without its check of the values.

    The check would be paid for each draw, and turn what rounding puts outside into -inf.
    """

    def log_density(
        value: Float[Array, " dim"], *parameters: Float[Array, "..."]
    ) -> Float[Array, "..."]:
        return jnp.asarray(kind(*parameters, validate_args=False).log_prob(value))

    return log_density


def within(
    log_density: Float[Array, "*s"], u: Float[Array, "*s"], slack: Float[Array, "*s"]
) -> Float[Array, "*s"]:
    """The log-density where u is in [0, 1], up to rounding of size `slack`, and else -inf."""
    return jnp.where((u >= -slack) & (u <= 1.0 + slack), log_density, -jnp.inf)


def _cholesky_factor(standard: float, free: Float[Array, " size"]) -> Float[Array, "dim dim"]:
    dim = (math.isqrt(8 * free.shape[0] + 1) - 1) // 2
    lower = jnp.zeros((dim, dim), free.dtype).at[jnp.tril_indices(dim)].set(free)
    diagonal = standard * jnp.exp(jnp.diagonal(lower))
    return jnp.tril(lower, -1) + jnp.diag(diagonal)
