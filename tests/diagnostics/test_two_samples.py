"""Two sets of draws: the classifier's accuracy against Bayes', the divergence against its formula.

False alarms: at 4.9 standard errors, below 1e-6 a number; the seeds are fixed.
"""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tests.ztest import LIMIT

from tightbound.core.errors import UsageError
from tightbound.diagnostics import c2st, kl_on_grid

N = 2000
unchecked_c2st, unchecked_kl = inspect.unwrap(c2st), inspect.unwrap(kl_on_grid)


@pytest.mark.stat
@pytest.mark.parametrize("apart", [0.0, 3.0])
def test_the_accuracy_is_that_of_bayes(apart):
    # For N(0, I) against N(apart e_1, I) it is Phi(apart / 2).
    generator = np.random.default_rng(1)
    a, b = generator.standard_normal((2, N, 2))
    found = c2st(a, b + np.array([apart, 0.0]))
    bayes = stats.norm.cdf(apart / 2)
    # The network falls short of Bayes by a little, and has learned from a finite number of draws.
    assert -LIMIT * found.stderr - 0.02 < found.accuracy - bayes < LIMIT * found.stderr
    assert found.n == 2 * N
    assert 0 < found.stderr < 0.01
    words = "cannot tell the two apart" if apart == 0 else "tells the two apart: they differ by"
    assert words in found.summary()


def test_draws_that_cannot_be_compared_are_refused():
    good = np.zeros((20, 2))
    for bad in (np.zeros((20, 3)), np.zeros(20), np.zeros((9, 2))):
        with pytest.raises(UsageError, match="two arrays of draws"):
            unchecked_c2st(good, bad)
    with pytest.raises(UsageError, match="in row 4 of b"):
        c2st(good, np.where(np.arange(20)[:, None] == 4, np.nan, good))


def log_normal(z):
    return -0.5 * jnp.sum(z**2)


@pytest.mark.stat
@pytest.mark.parametrize(
    ("shift", "scale"), [(0.0, 1.0), (0.5, 1.0), (1.0, 0.6), (0.2, 1.2)], ids=str
)
def test_the_divergence_is_that_in_closed_form(shift, scale):
    # KL of N((shift, 0), scale^2 I) from N(0, I), which is 0 for the first.
    truth = 0.5 * shift**2 + scale**2 - 1 - 2 * np.log(scale)
    generator = np.random.default_rng(2)
    draws = scale * generator.standard_normal((50_000, 2)) + np.array([shift, 0.0])
    found = kl_on_grid(draws, log_normal, low=(-7.0, -7.0), high=(7.0, 7.0), points=200)
    assert abs(found.kl - truth) < LIMIT * found.stderr + 0.002
    assert abs(found.bias) < 0.02
    assert found.stderr < 0.01
    assert found.outside == 0
    assert "nats" in found.summary()


@pytest.mark.stat
def test_two_narrow_modes_keep_their_divergence():
    # q has the one mode of a mixture of two, 20 widths apart: log 2 nats.
    def log_two(z):
        modes = jnp.array([[-1.0, 0.0], [1.0, 0.0]])
        return jnp.logaddexp(*(-50.0 * jnp.sum((z - mode) ** 2) for mode in modes))

    generator = np.random.default_rng(3)
    one = 0.1 * generator.standard_normal((40_000, 2)) + np.array([1.0, 0.0])
    window = {"low": (-2.0, -2.0), "high": (2.0, 2.0)}
    assert kl_on_grid(one, log_two, **window).kl == pytest.approx(np.log(2), abs=0.01)
    both = one * np.where(generator.random(len(one)) < 0.5, 1.0, -1.0)[:, None]
    found = kl_on_grid(both, log_two, **window)
    assert abs(found.kl) < LIMIT * found.stderr + 0.005


def test_what_has_no_divergence_on_a_grid_is_refused():
    draws = np.random.default_rng(0).standard_normal((1000, 2))
    with pytest.raises(UsageError, match="at least 100 draws, of shape"):
        unchecked_kl(draws[:, :1], log_normal, low=(-3.0, -3.0), high=(3.0, 3.0))
    with pytest.raises(UsageError, match="low < high in both directions"):
        kl_on_grid(draws, log_normal, low=(-3.0, 3.0), high=(3.0, 3.0))
    with pytest.raises(UsageError, match="between .* got 0"):
        kl_on_grid(draws, log_normal, low=(30.0, 30.0), high=(31.0, 31.0))
    with pytest.raises(UsageError, match="has no edge"):
        kl_on_grid(
            draws,
            lambda z: jnp.where(z[0] > 0, 0.0, -jnp.inf),
            low=(-3.0, -3.0),
            high=(3.0, 3.0),
            points=50,
        )
    found = kl_on_grid(draws, log_normal, low=(-9.0, -9.0), high=(1.0, 9.0), points=50)
    assert found.outside == pytest.approx(stats.norm.cdf(-1), abs=0.05)
    assert "of the draws outside the window" in found.summary()
