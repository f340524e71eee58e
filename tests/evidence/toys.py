"""Models with known evidence, proposals of known quality, and explicit sums in float64."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from tests.oracles.linear_gaussian import affine_normal, log_evidence
from tightbound.core.streams import item_keys
from tightbound.distributions import Bernoulli, DiagonalNormal, Layered, StandardNormal
from tightbound.evidence import importance
from tightbound.evidence.verdict import Weighed
from tightbound.models import Model
from tightbound.models.weights import log_weights, split_each
from tightbound.networks import MLP, Dense
from tightbound.objectives import Params


def keys_of(n: int, *, seed: int = 0) -> jax.Array:
    return item_keys(jax.random.key(seed), jnp.arange(n))


class Estimate(NamedTuple):
    """An `Evidence` on the host."""

    log_z: np.ndarray
    stderr: np.ndarray
    ess: np.ndarray
    khat: np.ndarray
    missing: np.ndarray
    most_missing: np.ndarray
    elbo: np.ndarray
    jackknife: np.ndarray
    bounds: np.ndarray


def estimate(parts: Params, x: np.ndarray, *, k: int, chunk: int, seed: int = 0) -> Estimate:
    """The importance estimate, as NumPy arrays."""
    model, posterior = parts.model, parts.posterior
    keys = keys_of(len(x), seed=seed)
    ev = importance(model, posterior, jnp.asarray(x), keys, k=k, chunk=chunk)
    return Estimate(*(np.asarray(column) for column in ev))


def of_estimate(ev: Estimate, k: int, rows: Any = slice(None)) -> Weighed:
    """What a verdict asks for, of some of the data."""
    names = ("stderr", "khat", "missing", "most_missing")
    of = (getattr(ev, name)[rows].astype(np.float64) for name in names)
    return Weighed(k, *of, np.zeros(len(ev.stderr[rows])), ev.jackknife[rows])


def explicit_log_weights(parts: Params, x: np.ndarray, *, k: int, seed: int = 0) -> np.ndarray:
    """All k log-weights of each datum at once, from the draws that `estimate` takes."""
    keys = split_each(keys_of(len(x), seed=seed), k)
    log_w = eqx.filter_jit(log_weights)(parts.model, parts.posterior, jnp.asarray(x), keys)
    return np.asarray(log_w, np.float64)


def scaled(parts: Params, factor: float, *, shift: float = 0.0) -> Params:
    """The same model, with the scale of every conditional of q multiplied and its mean moved."""

    def change(q: Any) -> DiagonalNormal:
        location = Dense(q.location.weight, q.location.bias + shift)
        log_scale = Dense(q.log_scale.weight, q.log_scale.bias + float(np.log(factor)))
        return DiagonalNormal(q.trunk, location, log_scale)

    q = parts.posterior
    if isinstance(q, Layered):
        return Params(parts.model, Layered(tuple(map(change, q.conditionals)), downwards=False))
    return Params(parts.model, change(q))


def repeated(parts: Params, n: int) -> tuple[np.ndarray, float]:
    """One datum n times, for replicas of one estimate, and its exact log p(x)."""
    x = np.array([[0.7, -1.1, 0.4, 1.3]], np.float32)
    return np.repeat(x, n, axis=0), log_evidence(parts.model, x).item()


def many_units(dim: int, *, factor: float, shift: float) -> Params:
    """`dim` independent pairs x_i ~ N(z_i, 1): q misses each posterior by the same amount.

    The exact posterior of each unit is N(x / 2, 1 / 2); q has `factor` times its standard
    deviation and a mean that is `shift` of them away.
    """
    eye, zero, sd = np.eye(dim), np.zeros(dim), np.sqrt(0.5)
    model = Model(StandardNormal(dim), affine_normal(eye, zero, np.ones(dim)))
    q = affine_normal(eye / 2, zero + shift * sd, np.full(dim, factor * sd))
    return Params(model, q)


def pixels(n: int, *, seed: int = 3) -> tuple[Params, np.ndarray, np.ndarray]:
    """784 binary pixels over one latent unit, n items drawn from it, and their log p(x).

    The exact value is by quadrature in float64.
    """
    rng = np.random.default_rng(seed)
    weight = (0.12 * rng.standard_normal(784)).astype(np.float32)
    bias = (0.3 * rng.standard_normal(784)).astype(np.float32)
    logits = Dense(jnp.asarray(weight[None]), jnp.asarray(bias))
    model = Model(StandardNormal(1), Bernoulli(MLP((), "tanh"), logits))
    q = affine_normal(np.zeros((1, 784)), np.array([0.3]), np.array([np.exp(-0.5)]))
    z = 0.3 + 0.3 * rng.standard_normal((n, 1))
    x = (rng.random((n, 784)) < special.expit(z * weight + bias)).astype(np.float32)
    grid = np.linspace(-8, 8, 4001)
    at = grid[:, None] * weight.astype(np.float64) + bias
    log_joint = x.astype(np.float64) @ at.T - np.logaddexp(0, at).sum(axis=1)
    log_joint -= 0.5 * grid**2 + 0.5 * np.log(2 * np.pi)
    exact = special.logsumexp(log_joint, axis=1) + np.log(grid[1] - grid[0])
    return Params(model, q), x, exact
