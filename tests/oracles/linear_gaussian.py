"""Linear-Gaussian chains h_L -> ... -> h_1 -> x, whose evidence and posterior are known exactly.

Every conditional is N(A given + b, diag(s^2)), built from the library's own modules. The truth is
dense algebra on the joint normal of all variables, in NumPy and float64; it uses the weights of
the modules and none of their methods.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from numpy.typing import ArrayLike

from tightbound.core.items import Datum, values
from tightbound.distributions import (
    AbstractExplicit,
    BottomLayer,
    DiagonalNormal,
    Layered,
    StandardNormal,
)
from tightbound.models import Model
from tightbound.networks import MLP, Dense
from tightbound.objectives import Params


class Affine(NamedTuple):
    """N(matrix @ given + offset, diag(variance)) in float64."""

    matrix: np.ndarray
    offset: np.ndarray
    variance: np.ndarray


class Joint(NamedTuple):
    """The joint normal of (h_L, ..., h_1, x), and where each of them stands in it."""

    mean: np.ndarray
    cov: np.ndarray
    blocks: list[slice]


def affine_normal(matrix: np.ndarray, offset: np.ndarray, scale: np.ndarray) -> DiagonalNormal:
    """N(matrix @ given + offset, diag(scale^2)): no hidden layers, and a constant scale."""
    weight = jnp.asarray(matrix.T, dtype=jnp.float32)
    location = Dense(weight, jnp.asarray(offset, dtype=jnp.float32))
    log_scale = Dense(jnp.zeros_like(weight), jnp.asarray(np.log(scale), dtype=jnp.float32))
    return DiagonalNormal(MLP((), "tanh"), location, log_scale)


def read(conditional: DiagonalNormal) -> Affine:
    """The numbers of a conditional of constant scale, as float64."""
    assert not np.any(conditional.log_scale.weight), "the scale is not constant"
    offset = np.asarray(conditional.location.bias, np.float64)
    log_scale = np.asarray(conditional.log_scale.bias, np.float64)
    matrix = np.asarray(conditional.location.weight, np.float64).T
    return Affine(matrix, offset, np.exp(2 * log_scale))


def one_layer_model() -> Model:
    """Two latent units, four visible ones; orthogonal columns make the posterior diagonal."""
    scale = np.array([0.5, 0.8, 1.1, 0.7])
    columns = np.linalg.qr(np.array([[1.0, 0.3], [-0.4, 1.0], [0.6, 0.9], [-1.0, 0.2]]))[0]
    loading = scale[:, None] * columns * np.array([1.6, 0.9])
    offset = np.array([0.3, -0.6, 0.1, 0.9])
    return Model(StandardNormal(2), affine_normal(loading, offset, scale))


def two_layer_model() -> Model:
    """One unit above two above four visible ones, with the same p(x|h_1)."""
    visible = one_layer_model().likelihood
    below = affine_normal(np.array([[1.3], [0.0]]), np.array([0.4, -0.2]), np.array([0.6, 0.9]))
    return Model(Layered((StandardNormal(1), below), downwards=True), BottomLayer(visible))


def joint(model: Any) -> Joint:
    """Mean and covariance of all variables together."""
    layered = isinstance(model.likelihood, BottomLayer)
    top, *below = model.prior.conditionals if layered else (model.prior,)
    last = model.likelihood.conditional if layered else model.likelihood
    chain = [read(conditional) for conditional in (*below, last)]
    mean, cov, blocks = np.zeros(top.dim), np.eye(top.dim), [slice(0, top.dim)]
    for step in chain:
        before = blocks[-1]
        cross = cov[:, before] @ step.matrix.T
        own = step.matrix @ cov[before, before] @ step.matrix.T + np.diag(step.variance)
        blocks.append(slice(len(mean), len(mean) + len(own)))
        mean = np.concatenate([mean, step.matrix @ mean[before] + step.offset])
        cov = np.block([[cov, cross], [cross.T, own]])
    return Joint(mean, cov, blocks)


def log_evidence(model: Model, x: ArrayLike) -> np.ndarray:
    """Log p(x) per datum in nats, exactly."""
    mean, cov, blocks = joint(model)
    visible = blocks[-1]
    return log_normal(np.asarray(x, np.float64) - mean[visible], cov[visible, visible])


def log_normal(residual: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Log-density of N(0, cov) at each row."""
    distance = np.sum(residual * np.linalg.solve(cov, residual.T).T, axis=-1)
    return -0.5 * (distance + np.linalg.slogdet(2 * np.pi * cov)[1])


def conditional(of: Joint, block: slice, given: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrix, offset and covariance of the normal of one block given another."""
    matrix = np.linalg.solve(of.cov[given, given], of.cov[given, block]).T
    offset = of.mean[block] - matrix @ of.mean[given]
    return matrix, offset, of.cov[block, block] - matrix @ of.cov[given, block]


def exact_posterior(model: Model) -> DiagonalNormal | Layered:
    """q(h_1|x) q(h_2|h_1) ... equal to p(h_1|x) p(h_2|h_1) ..., where those are diagonal."""
    whole = joint(model)
    upwards = whole.blocks[::-1]
    q = []
    for given, block in zip(upwards[:-1], upwards[1:], strict=True):
        matrix, offset, cov = conditional(whole, block, given)
        assert np.abs(cov - np.diag(np.diag(cov))).max() < 1e-6, "the posterior is not diagonal"
        q.append(affine_normal(matrix, offset, np.sqrt(np.diag(cov))))
    return q[0] if len(q) == 1 else Layered(tuple(q), downwards=False)


def exact_parts(layers: int) -> Params:
    """A model of one or two stochastic layers with its exact posterior."""
    model = one_layer_model() if layers == 1 else two_layer_model()
    return Params(model, exact_posterior(model))


def perturbed(parts: Params, *, scale: float = 0.2, seed: int = 8) -> Params:
    """The same model with a wrong posterior, whose scales depend on what is given as well."""
    rng = np.random.default_rng(seed)

    def moved(leaf: jax.Array) -> jax.Array:
        return leaf + jnp.asarray(scale * rng.standard_normal(leaf.shape), leaf.dtype)

    arrays, rest = eqx.partition(parts.posterior, eqx.is_inexact_array)
    return Params(parts.model, eqx.combine(jax.tree.map(moved, arrays), rest))


def data(n: int, *, seed: int = 11) -> np.ndarray:
    """Items for which no gradient is near zero by chance."""
    return np.random.default_rng(seed).standard_normal((n, 4)).astype(np.float32)


def exact_elbo(parts: Params, x: jax.Array) -> jax.Array:
    """E_q[log p(x, z) - log q(z|x)] of one datum in nats: closed form, one layer."""
    p, q = parts.model.likelihood, parts.posterior
    mean = x @ q.location.weight + q.location.bias
    log_scale = x @ q.log_scale.weight + q.log_scale.bias
    variance = jnp.exp(2 * log_scale)
    noise = jnp.exp(2 * p.log_scale.bias)
    error = (x - mean @ p.location.weight - p.location.bias) ** 2
    error = error + variance @ p.location.weight**2
    log_lik = -0.5 * jnp.sum(jnp.log(2 * jnp.pi * noise) + error / noise)
    divergence = 0.5 * jnp.sum(mean**2 + variance - 1.0 - 2 * log_scale)
    return log_lik - divergence


class MarginalPosterior(AbstractExplicit):
    """p(z|x_observed) of a linear-Gaussian model, for whichever values are observed."""

    loading: jax.Array
    offset: jax.Array
    variance: jax.Array

    @property
    def support(self):
        return "real"

    def moments(self, given):
        x = values(given)
        holed = isinstance(given, Datum) and given.observed is not None
        known = given.observed if holed else jnp.ones_like(x, bool)
        precise = jnp.astype(known, x.dtype) / self.variance
        precision = jnp.eye(self.loading.shape[1]) + (self.loading.T * precise[None]) @ self.loading
        mean = jnp.linalg.solve(precision, self.loading.T @ (precise * (x - self.offset)))
        return mean, jnp.linalg.cholesky(precision)

    def sample(self, given, *, key):
        mean, factor = self.moments(given)
        noise = jax.random.normal(key, mean.shape)
        return mean + solve_triangular(factor.T, noise, lower=False)

    def log_prob(self, value, given):
        mean, factor = self.moments(given)
        white = factor.T @ (value - mean)
        return jnp.sum(jax.scipy.stats.norm.logpdf(white)) + jnp.sum(jnp.log(jnp.diag(factor)))

    def mean(self, given):
        return self.moments(given)[0]
