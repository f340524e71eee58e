"""The models of the audit and the exact value of each number; nothing here is looked up.

**Exponential weights.** z ~ N(0, 1), one binary pixel with P(x = 1 | z) = -s log Phi(-z), x = 1,
and q(z|x) = p(z). Then -log Phi(-z) has the exponential distribution, so that the weights w_i are
exponential with mean s and their sum over k draws is Gamma(k) times s (P(x = 1 | z) > 1 happens
with probability exp(-1 / s) = exp(-50)). Hence log p(x) = log s, and
E[log (1/k) sum_i w_i] = digamma(k) - log k + log s.

**Coins.** Binary pixels whose decoder ignores z and gives 1/2 to each, so that
log p(x) = -pixels log 2, p(z|x) = p(z), and the ELBO is log p(x) - KL(q(z|x) || p(z)).

**Sum of normals.** z ~ N(0, 1), x|z ~ N(z, 1): p(x) = N(0, 2), and p(z|x) = N(x / 2, 1 / 2).
"""

import math
from typing import NamedTuple

from scipy.special import digamma

SCALE = 0.02
"""s, the mean of the exponential weights."""
K = 5
BETA = 0.5
PLATE = 1000
"""Data in the plate."""
MINIBATCH = 100
COINS = 130
COIN_MEAN, COIN_VARIANCE = 0.3, math.exp(-1.0)
"""q(z|x) of the coins, in one dimension, for the ELBO."""
IMAGE = 28 * 28
"""Coins of the Hamiltonian check, in the shape that all contestants take."""
X = 1.5
"""The datum of the sum of normals."""
Q_MEAN, Q_SCALE = 0.6, 0.9
"""A posterior of the sum of normals that is not the exact one."""
DRAWS = 5000


class Check(NamedTuple):
    """A quantity and its exact value."""

    name: str
    quantity: str
    model: str
    exact: float
    digits: int = 4
    """Decimals that are worth printing."""


def importance_bound(k: int) -> float:
    """The mean of the k-sample bound with exponential weights, in nats."""
    return float(digamma(k)) - math.log(k) + math.log(SCALE)


def coins(pixels: int) -> float:
    """Log p(x) of fair coins, in nats."""
    return -pixels * math.log(2)


def _coins_elbo() -> float:
    divergence = 0.5 * (COIN_VARIANCE + COIN_MEAN**2 - 1 - math.log(COIN_VARIANCE))
    return coins(COINS) - divergence


_EXPONENTIAL, _COINS, _NORMALS = "exponential weights", "coins", "sum of normals"
CHECKS = (
    Check("elbo", "the ELBO of a datum", _COINS, _coins_elbo()),
    Check("iwae", f"the bound from k = {K} draws", _EXPONENTIAL, importance_bound(K)),
    Check("far", "the bound from 8 equal weights, far below 1", _COINS, coins(COINS)),
    Check(
        "ciwae",
        f"{BETA} ELBO + {1 - BETA} times the bound from k = {K}",
        _EXPONENTIAL,
        BETA * importance_bound(1) + (1 - BETA) * importance_bound(K),
    ),
    Check("miwae-1x5", "the mean of 1 bound from k = 5", _EXPONENTIAL, importance_bound(5)),
    Check("miwae-5x1", "the mean of 5 bounds from k = 1", _EXPONENTIAL, importance_bound(1)),
    Check("piwae", "the model's bound from 2 x 5 draws", _EXPONENTIAL, importance_bound(10)),
    Check(
        "plate",
        f"the bound (k = {K}) of {PLATE} data, all of them seen",
        _EXPONENTIAL,
        PLATE * importance_bound(K),
        1,
    ),
    Check(
        "subsample",
        f"the same, estimated from {MINIBATCH} of the {PLATE}",
        _EXPONENTIAL,
        PLATE * importance_bound(K),
        1,
    ),
    Check(
        "evidence",
        f"log p(x) from {DRAWS} draws",
        _NORMALS,
        -0.5 * math.log(4 * math.pi) - X**2 / 4,
    ),
    Check("draws-50", "values of z decoded when asked for 50", _NORMALS, 50, 0),
    Check("draws-250", "values of z decoded when asked for 250", _NORMALS, 250, 0),
    Check("hamiltonian", "log p(x) with Hamiltonian transitions", _COINS, coins(IMAGE)),
    Check(
        "landing",
        "largest gradient for q at the exact posterior, sticking the landing",
        _NORMALS,
        0.0,
    ),
)
