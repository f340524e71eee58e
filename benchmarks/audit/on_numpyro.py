"""NumPyro: `Trace_ELBO` and `RenyiELBO`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro.infer import RenyiELBO, Trace_ELBO

from benchmarks.audit import Measured, Measurement, repeated
from benchmarks.audit.checks import (
    COIN_MEAN,
    COIN_VARIANCE,
    COINS,
    DRAWS,
    MINIBATCH,
    PLATE,
    Q_MEAN,
    Q_SCALE,
    SCALE,
    K,
    X,
)

_DATA, _CALLS = 5000, 20
Programs = tuple[Callable, Callable]


def _exponential(size: int, seen: int) -> Programs:
    """Model and guide of `size` data, of which `seen` are drawn anew each time."""

    def model() -> None:
        with numpyro.plate("data", size, subsample_size=seen):
            w = -SCALE * jax.scipy.special.log_ndtr(
                -jnp.asarray(numpyro.sample("z", dist.Normal(0.0, 1.0)))
            )
            pixel = dist.Bernoulli(logits=jnp.log(w) - jnp.log1p(-w))
            numpyro.sample("x", pixel, obs=jnp.ones(seen))

    def guide() -> None:
        with numpyro.plate("data", size, subsample_size=seen):
            numpyro.sample("z", dist.Normal(0.0, 1.0))

    return model, guide


def _coins(mean: float, scale: float) -> Programs:
    def model() -> None:
        with numpyro.plate("data", 1):
            numpyro.sample("z", dist.Normal(0.0, 1.0))
            coins = dist.Bernoulli(logits=jnp.zeros((1, COINS))).to_event(1)
            numpyro.sample("x", coins, obs=jnp.ones((1, COINS)))

    def guide() -> None:
        with numpyro.plate("data", 1):
            numpyro.sample("z", dist.Normal(mean, scale))

    return model, guide


def _normals(decode: Callable[[Array], Array]) -> Programs:
    def model() -> None:
        with numpyro.plate("data", 1):
            z = jnp.asarray(numpyro.sample("z", dist.Normal(0.0, 1.0)))
            numpyro.sample("x", dist.Normal(decode(z), 1.0), obs=jnp.full(1, X))

    def guide() -> None:
        with numpyro.plate("data", 1):
            numpyro.sample("z", dist.Normal(Q_MEAN, Q_SCALE))

    return model, guide


def _reported(loss: Trace_ELBO | RenyiELBO, programs: Programs) -> Callable[[int], float]:
    """Minus the loss, by the number of the key."""
    compiled = jax.jit(lambda key: -jnp.asarray(loss.loss(key, {}, *programs)))
    return lambda number: float(compiled(jax.random.key(number)))


def elbo() -> Measured:
    programs = _coins(COIN_MEAN, COIN_VARIANCE**0.5)
    reported = _reported(Trace_ELBO(num_particles=1000), programs)
    return repeated(reported, _CALLS, "`-Trace_ELBO().loss(...)`")


def far() -> Measured:
    reported = _reported(RenyiELBO(alpha=0, num_particles=8), _coins(0.0, 1.0))
    return repeated(reported, 1, "`-RenyiELBO(alpha=0, num_particles=8).loss(...)`")


def iwae() -> Measured:
    reported = _reported(RenyiELBO(alpha=0, num_particles=K), _exponential(_DATA, _DATA))
    call = f"`-RenyiELBO(alpha=0, num_particles={K}).loss(...)`, per datum"
    return repeated(lambda number: reported(number) / _DATA, _CALLS, call)


def plate(seen: int) -> Measured:
    reported = _reported(RenyiELBO(alpha=0, num_particles=K), _exponential(PLATE, seen))
    call = f"`-RenyiELBO(alpha=0, num_particles={K}).loss(...)`"
    if seen < PLATE:
        call += f", `subsample_size={seen}`"
    return repeated(reported, 100, call)


def evidence() -> Measured:
    reported = _reported(RenyiELBO(alpha=0, num_particles=DRAWS), _normals(lambda z: z))
    call = f"`-RenyiELBO(alpha=0, num_particles={DRAWS}).loss(...)`"
    return repeated(reported, _CALLS, call)


def draws(n: int) -> Measured:
    seen: list[int] = []

    def passed(z: np.ndarray) -> np.ndarray:
        seen.append(np.size(z))
        return np.asarray(z)

    def decode(z: Array) -> Array:
        return jax.pure_callback(passed, z, z, vmap_method="expand_dims")

    _reported(RenyiELBO(alpha=0, num_particles=n), _normals(decode))(0)
    return Measured(sum(seen), 0.0, f"`RenyiELBO(alpha=0, num_particles={n}).loss(...)`")


MEASUREMENTS: dict[str, Measurement] = {
    "elbo": elbo,
    "iwae": iwae,
    "far": far,
    "plate": lambda: plate(PLATE),
    "subsample": lambda: plate(MINIBATCH),
    "evidence": evidence,
    "draws-50": lambda: draws(50),
    "draws-250": lambda: draws(250),
}
