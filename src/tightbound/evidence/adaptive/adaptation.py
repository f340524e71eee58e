"""What adaptive importance samplers share: rounds of sampling, weighting and adapting.

All of them work on one datum and on its z as one vector u, shifted and scaled such that the draws
that they start from have mean 0 and standard deviation 1.

Reference: Bugallo et al. 2017, IEEE Signal Process. Mag. 34(4) (the three steps).
"""

import abc
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import streams

LogDensity = Callable[[Float[Array, " d"]], Float[Array, ""]]


class Weighted(NamedTuple):
    """Draws of one datum with their log-weights, and how the rounds before went."""

    u: Float[Array, "m d"]
    log_w: Float[Array, " m"]
    ess_by_round: Float[Array, " t"]
    """Effective share of each round's draws, between 0 and 1."""


class Adapted(NamedTuple):
    """Draws of z of one datum with their log-weights, and how the rounds before went."""

    z: Any
    log_w: Float[Array, " m"]
    mean: Float[Array, " d"]
    """The posterior's mean of z as one vector, by these draws."""
    sd: Float[Array, " d"]
    ess_by_round: Float[Array, " t"]

    @property
    def astray(self) -> Int[Array, ""]:
        """In how many rounds a weight was undefined.

        Draws of rounds that only adapt have no weight in the end, and a say in what follows.
        """
        return jnp.sum(jnp.isnan(self.ess_by_round))


class AbstractAdaptation(eqx.Module):
    """An adaptive importance sampler: proposals that learn from the weights of their draws."""

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """The estimate's direction: "lower" if the mean weight is unbiased, else "consistent"."""

    @property
    @abc.abstractmethod
    def words(self) -> str:
        """The method with its settings, in words."""

    @property
    @abc.abstractmethod
    def draws(self) -> int:
        """Draws whose weights make the estimate."""

    @property
    @abc.abstractmethod
    def at_once(self) -> int:
        """Evaluations of the density held together for one datum."""

    @abc.abstractmethod
    def run(
        self, log_density: LogDensity, first: Float[Array, "s d"], key: PRNGKeyArray
    ) -> Weighted:
        """All rounds for one datum, from `s` draws to start from."""


def adapted(
    method: AbstractAdaptation,
    log_joint: Callable[[Any], Float[Array, ""]],
    first: Any,
    key: PRNGKeyArray,
) -> Adapted:
    """All rounds for one datum whose log p(x, z) is given as a function of z, in nats.

    `first` are draws of z to start from, with a leading axis.
    """
    unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], first))[1]
    flat = jax.vmap(lambda z: ravel_pytree(z)[0])(first)
    mean, sd = jnp.mean(flat, axis=0), jnp.std(flat, axis=0)
    log_volume = jnp.sum(jnp.log(sd))

    def log_density(u: Float[Array, " d"]) -> Float[Array, ""]:
        # A NaN goes on from here into all that follows: it is refused in the end.
        return log_joint(unravel(mean + sd * u)) + log_volume

    found = method.run(log_density, (flat - mean[None]) / sd[None], key)
    weight = jax.nn.softmax(found.log_w)
    centre = weight @ found.u
    spread = jnp.sqrt(weight @ (found.u - centre[None]) ** 2)
    z = jax.vmap(lambda u: unravel(mean + sd * u))(found.u)
    return Adapted(z, found.log_w, mean + sd * centre, sd * spread, found.ess_by_round)


def after_warmup(u: Float[Array, "t m d"], log_w: Float[Array, "t m"], warmup: int) -> Weighted:
    """The draws of all rounds but the first `warmup`."""
    return Weighted(
        u[warmup:].reshape(-1, u.shape[-1]),
        log_w[warmup:].reshape(-1),
        jax.vmap(effective_share)(log_w),
    )


def log_kernel(
    u: Float[Array, "*b d"], dof: float | None, log_scale: Float[Array, ""] | float = 0.0
) -> Float[Array, "*b"]:
    """Log-density in nats of a normal, or Student's t with `dof`, scaled by exp(log_scale)."""
    d = u.shape[-1]
    square = jnp.sum(u**2, axis=-1) * jnp.exp(-2.0 * jnp.asarray(log_scale, u.dtype))
    if dof is None:
        return -0.5 * (square + d * math.log(2 * math.pi)) - d * log_scale
    constant = math.lgamma((dof + d) / 2) - math.lgamma(dof / 2) - d / 2 * math.log(dof * math.pi)
    return constant - (dof + d) / 2 * jnp.log1p(square / dof) - d * log_scale


def draw_kernel(
    key: PRNGKeyArray, shape: tuple[int, ...], dof: float | None
) -> Float[Array, "..."]:
    """Draws of the standard kernel, one vector along the last axis."""
    normal_key, scale_key = streams(key, "adaptation.normal", "adaptation.scale")
    normal = jax.random.normal(normal_key, shape)
    if dof is None:
        return normal
    chi2 = 2 * jax.random.gamma(scale_key, dof / 2, shape[:-1])
    return normal * jnp.sqrt(dof / chi2)[..., None]


def normalised(log_w: Float[Array, " m"]) -> Float[Array, " m"]:
    """Weights that sum to one; equal ones where all are zero."""
    none = jnp.max(log_w) == -jnp.inf
    return jax.nn.softmax(jnp.where(none, 0.0, log_w))


def effective_share(log_w: Float[Array, " m"]) -> Float[Array, ""]:
    """Effective number of draws as a share of all."""
    return 1 / (log_w.shape[0] * jnp.sum(normalised(log_w) ** 2))


def check_kernel(dof: float | None) -> None:
    """Refuses degrees of freedom that give no finite variance.

    Raises:
        UsageError: dof <= 2.
    """
    if dof is not None and not dof > 2:
        raise UsageError(f"expected dof above 2, or None for normal kernels, got {dof}")


def check_rounds(rounds: Any, warmup: Any) -> None:
    """Refuses to throw all rounds away.

    Raises:
        UsageError: No rounds, or as many that only adapt.
    """
    at_least(1, rounds=rounds)
    at_least(0, warmup=warmup)
    if warmup >= rounds:
        raise UsageError(f"expected warmup from 0 to {rounds - 1} of {rounds} rounds, got {warmup}")


def kernel_words(dof: float | None) -> str:
    """The kernel's name."""
    return "normal" if dof is None else f"Student-t({dof:g})"
