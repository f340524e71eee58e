"""Pyro: `Trace_ELBO`, `RenyiELBO` and `vectorized_importance_weights`."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportArgumentType=false

import math
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import RenyiELBO, Trace_ELBO
from pyro.infer.importance import vectorized_importance_weights
from torch import Tensor

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


def _normal(n: int, mean: float = 0.0, scale: float = 1.0) -> dist.Distribution:
    return dist.Normal(torch.full((n,), mean), torch.full((n,), scale))


def _exponential(size: int, seen: int) -> Programs:
    """Model and guide of `size` data, of which `seen` are drawn anew each time."""

    def model() -> None:
        with pyro.plate("data", size, subsample_size=seen):
            w = -SCALE * torch.special.log_ndtr(-pyro.sample("z", _normal(seen)))
            pixel = dist.Bernoulli(logits=torch.log(w) - torch.log1p(-w))
            pyro.sample("x", pixel, obs=torch.ones(seen))

    def guide() -> None:
        with pyro.plate("data", size, subsample_size=seen):
            pyro.sample("z", _normal(seen))

    return model, guide


def _coins(mean: float, scale: float) -> Programs:
    def model() -> None:
        with pyro.plate("data", 1):
            pyro.sample("z", _normal(1))
            coins = dist.Bernoulli(logits=torch.zeros(1, COINS)).to_event(1)
            pyro.sample("x", coins, obs=torch.ones(1, COINS))

    def guide() -> None:
        with pyro.plate("data", 1):
            pyro.sample("z", _normal(1, mean, scale))

    return model, guide


def _normals(decode: Callable[[Tensor], Tensor]) -> Programs:
    def model() -> None:
        with pyro.plate("data", 1):
            z = pyro.sample("z", _normal(1))
            pyro.sample("x", dist.Normal(decode(z), 1.0), obs=torch.full((1,), X))

    def guide() -> None:
        with pyro.plate("data", 1):
            pyro.sample("z", _normal(1, Q_MEAN, Q_SCALE))

    return model, guide


def _renyi(k: int) -> RenyiELBO:
    return RenyiELBO(alpha=0, num_particles=k, max_plate_nesting=1, vectorize_particles=True)


def elbo() -> Measured:
    programs = _coins(COIN_MEAN, COIN_VARIANCE**0.5)
    loss = Trace_ELBO(num_particles=1000, max_plate_nesting=1, vectorize_particles=True)
    pyro.set_rng_seed(0)
    return repeated(lambda _: -loss.loss(*programs), _CALLS, "`-Trace_ELBO().loss(...)`")


def far() -> Measured:
    programs = _coins(0.0, 1.0)
    call = "`-RenyiELBO(alpha=0, num_particles=8).loss(...)`"
    return repeated(lambda _: -_renyi(8).loss(*programs), 1, call)


def iwae() -> Measured:
    programs = _exponential(_DATA, _DATA)
    pyro.set_rng_seed(0)
    call = f"`-RenyiELBO(alpha=0, num_particles={K}).loss(...)`, per datum"
    return repeated(lambda _: -_renyi(K).loss(*programs) / _DATA, _CALLS, call)


def plate(seen: int) -> Measured:
    programs = _exponential(PLATE, seen)
    pyro.set_rng_seed(0)
    call = f"`-RenyiELBO(alpha=0, num_particles={K}).loss(...)`"
    if seen < PLATE:
        call += f", `subsample_size={seen}`"
    return repeated(lambda _: -_renyi(K).loss(*programs), 100, call)


def _importance(n: int, programs: Programs) -> float:
    log_w = vectorized_importance_weights(*programs, num_samples=n, max_plate_nesting=1)[0]
    return float(torch.logsumexp(log_w, 0).sum()) - math.log(n)


@torch.no_grad()
def evidence() -> Measured:
    programs = _normals(lambda z: z)
    pyro.set_rng_seed(0)
    return repeated(
        lambda _: _importance(DRAWS, programs),
        _CALLS,
        f"log-mean-exp of `vectorized_importance_weights(..., num_samples={DRAWS})`",
    )


@torch.no_grad()
def draws(n: int) -> Measured:
    seen = [0]

    def decode(z: Tensor) -> Tensor:
        seen[0] += z.numel()
        return z

    _importance(n, _normals(decode))
    return Measured(seen[0], 0.0, f"`vectorized_importance_weights(..., num_samples={n})`")


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
