"""Are the numbers right? Precision, evidence with closed forms, files."""

import math
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file, save_file

from tightbound import evidence
from tightbound.core.compilation import jit
from tightbound.distributions import DiagonalNormal, StandardNormal
from tightbound.doctor.check import ROUNDING, Check, judged
from tightbound.models import Model
from tightbound.networks import MLP, Dense

LIMIT = 6.0
"""Standard errors: a false alarm in 5e8 checks of a right installation."""


def precision() -> Check:
    """Products of matrices in single and double precision against NumPy's."""
    rng = np.random.default_rng(0)
    a, b = (np.abs(rng.normal(size=(256, 256))) for _ in "ab")
    product = jit(lambda a, b: a @ b)
    single_a, single_b = a.astype(np.float32), b.astype(np.float32)
    single = np.asarray(product(single_a, single_b), np.float64)
    error = np.max(np.abs(single / (single_a.astype(np.float64) @ single_b) - 1))
    with jax.enable_x64(True):  # noqa: FBT003 (JAX's own signature)
        double = np.max(np.abs(np.asarray(product(a, b)) / (a @ b) - 1))
    return judged(
        "precision",
        max(float(error) / ROUNDING, float(double) / 1e-12),
        1.0,
        f"largest relative error {error:.1e} in float32, {double:.1e} in float64",
        "products are rounded to fewer digits than their type has: set "
        "JAX_DEFAULT_MATMUL_PRECISION=highest",
    )


def importance_sampling() -> Check:
    """Log-evidence of a linear-Gaussian model by importance sampling, and its closed form."""
    model, wide, x, exact = _linear_gaussian()
    ev = evidence.evaluate(model, wide, x, k=2000, key=1, progress=False)
    return _against("importance sampling", ev.mean, ev.stderr_draws, exact)


def annealing() -> Check:
    """The same by annealed importance sampling from the prior."""
    model, _, x, exact = _linear_gaussian()
    ev = evidence.annealed(model, x, temperatures=50, chains=32, key=1, progress=False)
    return _against("annealing", ev.mean, ev.stderr_draws, exact)


def safetensors() -> Check:
    """Arrays written to a file and read again are the same to the last bit."""
    rng = np.random.default_rng(0)
    arrays = {
        "float32": rng.normal(size=(3, 5)).astype(np.float32),
        "special": np.array([np.nan, -np.inf, -0.0, 1e-45], np.float32),
        "float64": rng.normal(size=7),
        "integers": np.array([-(2**31), 2**31 - 1], np.int32),
        "empty": np.zeros((0, 4), np.float32),
        "number": np.array(1.5, np.float32),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "check.safetensors"
        save_file(arrays, path)
        again = load_file(path)
    spoilt = [
        name
        for name, array in arrays.items()
        if again[name].tobytes() != array.tobytes() or again[name].shape != array.shape
    ]
    return Check(
        "safetensors",
        not spoilt,
        f"not the same: {', '.join(spoilt)}" if spoilt else "the same to the last bit",
        "install another version of safetensors" if spoilt else "",
    )


def _against(name: str, mean: float, stderr: float, exact: float) -> Check:
    return judged(
        name,
        abs(mean - exact) / math.hypot(stderr, 1e-4),
        LIMIT,
        f"{mean:.4f} ± {stderr:.4f} nats, exactly {exact:.4f}",
        "the evidence is wrong here: mend what else failed first, and report it if nothing did",
    )


def _linear_gaussian() -> tuple[Model, DiagonalNormal, np.ndarray, float]:
    """Model, a proposal wider than its posterior, data, and the mean log-evidence."""
    loading = np.array([[0.8, -0.3, 0.5], [0.1, 0.9, -0.4]])
    noise = 0.6
    x = np.array([[0.3, -0.2, 0.7], [1.1, 0.4, -0.5], [-0.8, 0.9, 0.1]], np.float32)
    likelihood = _affine(loading, np.zeros(3), np.full(3, noise))
    precision = np.eye(2) + loading @ loading.T / noise**2
    slope = (np.linalg.inv(precision) @ loading / noise**2).T
    wide = 1.3 * np.sqrt(np.diag(np.linalg.inv(precision)))
    covariance = loading.T @ loading + noise**2 * np.eye(3)
    squares = np.sum(x * np.linalg.solve(covariance, x.T).T, axis=1)
    log_det = np.linalg.slogdet(2 * np.pi * covariance)[1]
    exact = float(np.mean(-0.5 * (squares + log_det)))
    return Model(StandardNormal(2), likelihood), _affine(slope, np.zeros(2), wide), x, exact


def _affine(slope: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> DiagonalNormal:
    """N(slope given + shift, scale^2)."""
    weight, bias, log_scale = (
        jnp.asarray(array, jnp.float32) for array in (slope, shift, np.log(scale))
    )
    return DiagonalNormal(
        MLP((), "tanh"), Dense(weight, bias), Dense(jnp.zeros_like(weight), log_scale)
    )
