"""sbi: the losses of variational inference, by the objects that `VIPosterior` trains with."""

# pyright: reportMissingImports=false

import math
from collections.abc import Callable

import torch
from sbi.inference.potentials.base_potential import CustomPotentialWrapper
from sbi.samplers.vi import LearnableGaussian, get_VI_method
from torch import Tensor
from torch.distributions import Independent, Normal

from benchmarks.audit import Measured, Measurement, repeated
from benchmarks.audit.checks import COIN_MEAN, COIN_VARIANCE, COINS, SCALE, K, X, coins

_PRIOR = Independent(Normal(torch.zeros(1), torch.ones(1)), 1)
# The potentials below know their datum.
_OBSERVED = torch.zeros(1, 1)


def _exponential(z: Tensor, x: Tensor) -> Tensor:
    """Log p(x = 1, z)."""
    del x
    log_w = math.log(SCALE) + torch.log(-torch.special.log_ndtr(-z[:, 0]))
    return _PRIOR.log_prob(z) + log_w


def _coins(z: Tensor, x: Tensor) -> Tensor:
    del x
    return _PRIOR.log_prob(z) + coins(COINS)


def _normals(z: Tensor, x: Tensor) -> Tensor:
    del x
    return _PRIOR.log_prob(z) + Normal(z[:, 0], 1.0).log_prob(torch.tensor(X))


def _q(mean: float = 0.0, scale: float = 1.0) -> LearnableGaussian:
    q = LearnableGaussian(1, full_covariance=False)
    with torch.no_grad():
        q.loc.fill_(mean)
        q.log_scale.fill_(math.log(scale))
    return q


def _loss(
    method: str, log_joint: Callable, q: LearnableGaussian, n: int, **options: int
) -> Callable[[], tuple[Tensor, Tensor]]:
    """The loss to differentiate and the one "displayed and used to determine convergence"."""
    potential = CustomPotentialWrapper(log_joint, _PRIOR, _OBSERVED)
    torch.manual_seed(0)
    # Rate and decay belong to the optimiser, which takes no step here.
    optimizer = get_VI_method(method)(
        potential, q, prior=_PRIOR, n_particles=n, lr=1e-3, gamma=1.0, **options
    )
    return lambda: optimizer.loss(_OBSERVED)


def elbo() -> Measured:
    loss = _loss("rKL", _coins, _q(COIN_MEAN, COIN_VARIANCE**0.5), 1000)
    return repeated(lambda _: -float(loss()[1]), 20, '`vi_method="rKL"`, minus the loss displayed')


def iwae() -> Measured:
    loss = _loss("IW", _exponential, _q(), 5000, K=K)
    call = f'`vi_method="IW"`, `K={K}`, minus the loss displayed'
    return repeated(lambda _: -float(loss()[1]), 20, call)


def far() -> Measured:
    loss = _loss("IW", _coins, _q(), 10, K=8)
    call = '`vi_method="IW"`, `K=8`, minus the loss displayed'
    return repeated(lambda _: -float(loss()[1]), 1, call)


def landing() -> Measured:
    q = _q(X / 2, 0.5**0.5)
    loss = _loss("rKL", _normals, q, 1, stick_the_landing=True)
    largest = 0.0
    for _ in range(20):
        q.zero_grad()
        loss()[0].backward()
        largest = max(largest, *(p.grad.abs().max().item() for p in q.parameters()))
    call = 'gradient of `vi_method="rKL"`, `stick_the_landing=True`, 20 single draws'
    return Measured(largest, 0.0, call)


MEASUREMENTS: dict[str, Measurement] = {
    "elbo": elbo,
    "iwae": iwae,
    "far": far,
    "landing": landing,
}
