"""Problems with a known posterior, or with a long reference: targets and simulators.

Gelman et al. 2013 (eight schools); Mescheder, Nowozin & Geiger 2017, arXiv 1701.04722 (its variant
here, with a scale of either sign); Huszar 2017, arXiv 1702.08235 (logistic regression, sprinkler);
Greenberg, Nonnenmacher & Macke 2019, arXiv 1905.07488, and Lueckmann et al. 2021, arXiv 2101.04653
(two moons, Gaussian linear).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import stats
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import streams
from tightbound.distributions import StandardNormal, from_functions
from tightbound.models.model import Model
from tightbound.models.simulators import simulator
from tightbound.models.target import Target

EFFECTS = (2.8, 0.8, -0.3, 0.7, -0.1, 0.1, 1.8, 1.2)
"""Measured effects of the eight schools, in tens of points."""
ERRORS = (0.8, 0.5, 0.8, 0.6, 0.5, 0.6, 0.5, 0.4)
"""Their standard errors."""
POINTS = ((1.5, 1.0), (-1.5, 1.0), (0.5, -1.0))
"""Inputs of the logistic regression."""
LABELS = (1.0, 1.0, -1.0)
WEIGHT_VARIANCE = 2.0


def eight_schools() -> Target:
    """Eight schools in 10 dimensions: z = (mu, tau, eta_1, ..., eta_8), all N(0, 1) a priori.

    School j has the effect mu + tau eta_j. tau may have either sign, which the data cannot tell:
    the posterior is the same at (mu, -tau, -eta).
    """
    prior = StandardNormal(2 + len(EFFECTS))

    def log_density(z: Float[Array, " dim"]) -> Float[Array, ""]:
        effects = z[0] + z[1] * z[2:]
        measured = stats.norm.logpdf(jnp.array(EFFECTS), effects, jnp.array(ERRORS))
        return prior.log_prob(z) + jnp.sum(measured)

    return Target(log_density, 2 + len(EFFECTS), prior=prior)


def logistic_regression() -> Target:
    """Two weights w ~ N(0, 2 I) and three points: log p(y | w) is a sum of log sigmoid(y w'x)."""
    scale = math.sqrt(WEIGHT_VARIANCE)
    prior = from_functions(
        log_prob=lambda w, given: jnp.sum(stats.norm.logpdf(w, 0.0, scale)),
        sample=lambda given, key: scale * jax.random.normal(key, (2,)),
        dim=2,
    )

    def log_density(w: Float[Array, " 2"]) -> Float[Array, ""]:
        signed = jnp.array(LABELS) * (jnp.array(POINTS) @ w)
        return prior.log_prob(w) + jnp.sum(jax.nn.log_sigmoid(signed))

    return Target(log_density, 2, prior=prior)


def sprinkler() -> Model:
    """The continuous sprinkler: z ~ N(0, 2 I), and x > 0 is exponential with a mean of two causes.

    The mean is 3 + max(0, z1)^3 + max(0, z2)^3: either cause explains a large x, so that p(z|x)
    has two lobes.
    """
    scale = math.sqrt(WEIGHT_VARIANCE)

    def mean(z: Float[Array, " 2"]) -> Float[Array, " 1"]:
        return 3 + jnp.sum(jnp.maximum(z, 0) ** 3, keepdims=True)

    prior = from_functions(
        log_prob=lambda z, given: jnp.sum(stats.norm.logpdf(z, 0.0, scale)),
        sample=lambda given, key: scale * jax.random.normal(key, (2,)),
        mean=lambda given: jnp.zeros(2),
        dim=2,
    )
    likelihood = from_functions(
        log_prob=lambda x, z: jnp.sum(-jnp.log(mean(z)) - x / mean(z)),
        sample=lambda z, key: mean(z) * jax.random.exponential(key, (1,)),
        mean=mean,
        dim=1,
    )
    return Model(prior, likelihood)


class SimulatorProblem(NamedTuple):
    """A simulator and draws of its exact posterior."""

    model: Model
    """Draws of p(x, z), and no density."""
    posterior: Callable[[Float[np.ndarray, " columns"], int, int], Float[np.ndarray, "n dim"]]
    """(x, n, seed) to n exact draws of p(z|x)."""


def two_moons() -> SimulatorProblem:
    """Two moons: z ~ U(-1, 1)^2, and x is a crescent around (-|z1 + z2|, z2 - z1) / sqrt 2.

    The crescent is r (cos a, sin a) + (1/4, 0) with r ~ N(0.1, 0.01^2) and a ~ U(-pi/2, pi/2), so
    that p(z|x) is two crescents.
    """

    def draw_prior(key: PRNGKeyArray) -> Float[Array, " 2"]:
        return jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0)

    def simulate(z: Float[Array, " 2"], key: PRNGKeyArray) -> Float[Array, " 2"]:
        angle_key, radius_key = streams(key, "two_moons.angle", "two_moons.radius")
        angle = jax.random.uniform(angle_key, minval=-math.pi / 2, maxval=math.pi / 2)
        radius = 0.1 + 0.01 * jax.random.normal(radius_key)
        crescent = radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)]) + jnp.array([0.25, 0.0])
        return crescent + jnp.stack([-jnp.abs(z[0] + z[1]), z[1] - z[0]]) / math.sqrt(2)

    return SimulatorProblem(simulator(draw_prior, simulate), _two_moons_posterior)


def _two_moons_posterior(
    x: Float[np.ndarray, " columns"], n: int, seed: int
) -> Float[np.ndarray, "n dim"]:
    """The crescent is drawn and z solved for: its Jacobian is constant, so rejection is exact.

    Raises:
        UsageError: n < 1, or an x that no z can give, or next to none.
    """
    at_least(1, n=n)
    generator = np.random.default_rng(seed)
    kept, size, tries = [], 0, 0
    while size < n:
        angle = generator.uniform(-np.pi / 2, np.pi / 2, 2 * n)
        radius = generator.normal(0.1, 0.01, 2 * n)
        less_crescent = np.asarray(x)[:, None] - radius * np.stack([np.cos(angle), np.sin(angle)])
        total, difference = (less_crescent - np.array([[0.25], [0.0]])) * math.sqrt(2)
        possible = total <= 0
        total = total * generator.choice([-1.0, 1.0], 2 * n)
        z = np.stack([(total - difference) / 2, (total + difference) / 2], axis=1)
        z = z[possible & np.all(np.abs(z) <= 1, axis=1)]
        kept.append(z)
        size, tries = size + len(z), tries + 1
        if tries == 1000 and size < n:
            raise UsageError(f"expected x from the simulator, got {x}: no z in (-1, 1)^2 gives it")
    return np.concatenate(kept)[:n].astype(np.float32)


def linear_gaussian_simulator() -> SimulatorProblem:
    """Two latents z ~ N(0, I) and x ~ N(W z, I / 4) in R^3: the posterior is normal."""
    loading = np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]], np.float32)
    noise = 0.5

    def simulate(z: Float[Array, " 2"], key: PRNGKeyArray) -> Float[Array, " 3"]:
        return jnp.asarray(loading) @ z + noise * jax.random.normal(key, (3,))

    def posterior(
        x: Float[np.ndarray, " columns"], n: int, seed: int
    ) -> Float[np.ndarray, "n dim"]:
        covariance = np.linalg.inv(np.eye(2) + loading.T @ loading / noise**2)
        mean = covariance @ loading.T @ np.asarray(x) / noise**2
        drawn = np.random.default_rng(seed).multivariate_normal(mean, covariance, n)
        return drawn.astype(np.float32)

    return SimulatorProblem(simulator(StandardNormal(2), simulate), posterior)


def gaussian_linear() -> SimulatorProblem:
    """Ten latents z ~ N(0, I / 10) and x ~ N(z, I / 10): the posterior is N(x / 2, I / 20)."""
    spread = math.sqrt(0.1)

    def draw_prior(key: PRNGKeyArray) -> Float[Array, " 10"]:
        return spread * jax.random.normal(key, (10,))

    def simulate(z: Float[Array, " 10"], key: PRNGKeyArray) -> Float[Array, " 10"]:
        return z + spread * jax.random.normal(key, (10,))

    def posterior(
        x: Float[Array | np.ndarray, " columns"], n: int, seed: int
    ) -> Float[np.ndarray, "n dim"]:
        drawn = np.random.default_rng(seed).standard_normal((n, 10))
        return (np.asarray(x) / 2 + math.sqrt(0.05) * drawn).astype(np.float32)

    return SimulatorProblem(simulator(draw_prior, simulate), posterior)
