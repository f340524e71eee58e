"""tightbound's own numbers, by its documented calls."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

import tightbound as tb
from benchmarks.audit import Measured, Measurement, repeated
from benchmarks.audit.checks import (
    BETA,
    COIN_MEAN,
    COIN_VARIANCE,
    COINS,
    DRAWS,
    IMAGE,
    MINIBATCH,
    PLATE,
    Q_MEAN,
    Q_SCALE,
    SCALE,
    K,
    X,
)
from tightbound.core.items import Items
from tightbound.distributions import Bernoulli, DiagonalNormal, StandardNormal
from tightbound.evidence.importance.importance import FIRST
from tightbound.evidence.rounding import PATTERNS
from tightbound.networks import MLP, Dense
from tightbound.objectives import AbstractObjective, Params

_DATA = 20_000


class _ExponentialLogit(eqx.Module):
    """The logit of w = -s log Phi(-z)."""

    def __call__(self, z: Float[Array, "1"]) -> Float[Array, "1"]:
        w = -SCALE * jax.scipy.special.log_ndtr(-z)
        return jnp.log(w) - jnp.log1p(-w)


class _Counted(eqx.Module):
    """The identity, by a function on the host that sees every value that passes."""

    passed: Callable[[np.ndarray], np.ndarray] = eqx.field(static=True)

    def __call__(self, z: Float[Array, "1"]) -> Float[Array, "1"]:
        return jax.pure_callback(self.passed, z, z, vmap_method="expand_dims")


def _normal(
    slope: float, mean: float, scale: float, trunk: Callable | None = None, inputs: int = 1
) -> DiagonalNormal:
    """N(slope * sum(given) + mean, scale^2) in one dimension."""
    return DiagonalNormal(
        MLP((), "tanh") if trunk is None else trunk,
        Dense(jnp.full((inputs, 1), slope), jnp.full(1, mean)),
        Dense(jnp.zeros((inputs, 1)), jnp.full(1, np.log(scale), jnp.float32)),
    )


def _constant(inputs: int, mean: float = 0.0, scale: float = 1.0) -> DiagonalNormal:
    """q(z|x) in one dimension, the same for every x."""
    return _normal(0.0, mean, scale, inputs=inputs)


def _exponential() -> Params:
    likelihood = Bernoulli(_ExponentialLogit(), Dense(jnp.ones((1, 1)), jnp.zeros(1)))
    return Params(tb.Model(StandardNormal(1), likelihood), _constant(1))


def _coins(pixels: int, latent: int) -> tb.Model:
    fair = Dense(jnp.zeros((latent, pixels)), jnp.zeros(pixels))
    return tb.Model(StandardNormal(latent), Bernoulli(MLP((), "tanh"), fair))


def _normals(trunk: Callable | None = None) -> tb.Model:
    return tb.Model(StandardNormal(1), _normal(1.0, 0.0, 1.0, trunk))


def _bound(objective: AbstractObjective, parts: Params, x: np.ndarray, call: str) -> Measured:
    keys = jax.random.split(jax.random.key(0), len(x))
    values = np.asarray(
        eqx.filter_jit(objective.bound)(parts, None, Items.of(jnp.asarray(x)), keys), np.float64
    )
    return Measured(float(values.mean()), float(values.std() / np.sqrt(len(x))), call)


def _of_exponential(objective: AbstractObjective, call: str) -> Measured:
    return _bound(objective, _exponential(), np.ones((_DATA, 1), np.float32), call)


def elbo() -> Measured:
    parts = Params(_coins(COINS, 1), _constant(COINS, COIN_MEAN, COIN_VARIANCE**0.5))
    x = np.ones((_DATA, COINS), np.float32)
    return _bound(tb.objectives.elbo(), parts, x, "`tb.objectives.elbo().bound`")


def iwae() -> Measured:
    return _of_exponential(tb.objectives.iwae(K), f"`tb.objectives.iwae({K}).bound`")


def far() -> Measured:
    parts = Params(_coins(COINS, 1), _constant(COINS))
    x = np.ones((1, COINS), np.float32)
    return _bound(tb.objectives.iwae(8), parts, x, "`tb.objectives.iwae(8).bound`")


def ciwae() -> Measured:
    return _of_exponential(
        tb.objectives.ciwae(K, BETA), f"`tb.objectives.ciwae({K}, {BETA}).bound`"
    )


def miwae(m: int, k: int) -> Measured:
    return _of_exponential(tb.objectives.miwae(m, k), f"`tb.objectives.miwae({m}, {k}).bound`")


def piwae() -> Measured:
    return _of_exponential(tb.objectives.piwae(2, 5), "`tb.objectives.piwae(2, 5).bound`")


def plate(seen: int) -> Measured:
    parts, objective = _exponential(), tb.objectives.iwae(K)
    x = jnp.ones((seen, 1))

    @eqx.filter_jit
    def total(number: Array) -> Array:
        keys = jax.random.split(jax.random.key(number), seen)
        return PLATE * jnp.mean(objective.bound(parts, None, Items.of(x), keys))

    call = f"{PLATE} times the mean of `tb.objectives.iwae({K}).bound`"
    return repeated(lambda number: float(total(jnp.asarray(number))), 100, call)


def evidence() -> Measured:
    x = np.full((20, 1), X, np.float32)
    ev = tb.evaluate(_normals(), _normal(0.0, Q_MEAN, Q_SCALE), x, k=DRAWS, progress=False)
    return Measured(ev.mean, ev.stderr_draws, f"`tb.evaluate(..., k={DRAWS}).mean`")


def draws(n: int) -> Measured:
    seen: list[int] = []

    def passed(z: np.ndarray) -> np.ndarray:
        seen.append(np.size(z))
        return np.asarray(z)

    model = _normals(_Counted(passed))
    x = np.full((1, 1), X, np.float32)
    tb.evaluate(model, _normal(0.0, Q_MEAN, Q_SCALE), x, k=n, progress=False)
    # Beside the draws stand the few evaluations by which rounding is measured.
    return Measured(sum(seen) - (FIRST + 1 + PATTERNS), 0.0, f"`tb.evaluate(..., k={n})`")


def hamiltonian() -> Measured:
    x = np.ones((1, IMAGE), np.float32)
    model = _coins(IMAGE, 2)
    ais = tb.evidence.annealed(model, x, temperatures=3, chains=4, leapfrog=3, progress=False)
    return Measured(ais.mean, ais.stderr_draws, "`tb.evidence.annealed(...).mean`")


def landing() -> Measured:
    objective = tb.objectives.elbo(gradient="stl")
    parts = Params(_normals(), _normal(0.5, 0.0, 0.5**0.5))

    @eqx.filter_jit
    def gradient(key: PRNGKeyArray) -> DiagonalNormal:
        step, _ = objective.step(parts, None, Items.of(jnp.full((1, 1), X)), key[None])
        return step.grads.posterior

    grads = [gradient(key) for key in jax.random.split(jax.random.key(0), 20)]
    largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(grads))
    return Measured(largest, 0.0, '`tb.objectives.elbo(gradient="stl").step`, 20 single draws')


MEASUREMENTS: dict[str, Measurement] = {
    "elbo": elbo,
    "iwae": iwae,
    "far": far,
    "ciwae": ciwae,
    "miwae-1x5": lambda: miwae(1, 5),
    "miwae-5x1": lambda: miwae(5, 1),
    "piwae": piwae,
    "plate": lambda: plate(PLATE),
    "subsample": lambda: plate(MINIBATCH),
    "evidence": evidence,
    "draws-50": lambda: draws(50),
    "draws-250": lambda: draws(250),
    "hamiltonian": hamiltonian,
    "landing": landing,
}
