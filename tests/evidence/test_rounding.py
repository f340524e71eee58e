"""Single precision is in the error, and what has no meaning is refused, by every estimator.

False alarms: means at 4.9 standard errors and the rounding that is stated; the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.ztest import LIMIT
from tightbound.core.errors import NonFiniteError
from tightbound.evidence import (
    AMIS,
    DMPMC,
    PMC,
    adaptive,
    annealed,
    evaluate,
    exact,
    hmc_density,
    jackknife,
    prior_sampling,
    reverse_annealed,
)
from tightbound.evidence.verdict import Weighed, judge, judge_each
from tightbound.models import from_log_joint

LOADING = np.array([[1.0, 0.5], [0.25, -1.0], [0.0, 0.75]])  # as they are in float32
RNG = np.random.default_rng(1)


def model_at(offset):
    return tb.models.linear_gaussian(LOADING, np.full(3, offset), 1.0)


def data_at(offset, n=40):
    return offset + RNG.standard_normal((n, 2)) @ LOADING.T + RNG.standard_normal((n, 3))


def truth(x, offset):
    """In float64, from data that have not been rounded."""
    covariance = LOADING @ LOADING.T + np.eye(3)
    away = np.asarray(x, np.float64) - offset
    distance = np.sum(away * np.linalg.solve(covariance, away.T).T, axis=1)
    return -0.5 * (distance + np.linalg.slogdet(2 * np.pi * covariance)[1])


@pytest.mark.stat
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_the_bar_covers_the_truth_however_far_the_data_lie(offset):
    """Around a model's mean at 1e6 the log-density is small, and its data are known to 0.06."""
    model, x = model_at(offset), data_at(offset)
    found = evaluate(model, model.prior, x.astype(np.float32), k=40_000)
    away = np.abs(found.log_evidence - truth(x, offset))
    assert np.all(away < LIMIT * found.stderr + found.rounding)
    if offset == 0:
        assert np.max(found.rounding) < 1e-4
        assert "rounding" not in found.summary()
    else:
        assert not np.all(away < LIMIT * found.stderr)  # without it the bars do not hold
        assert np.max(found.rounding) < 20
        assert "rounding up to" in found.summary()
        assert found.verdict == "do not trust"
        assert "single precision alone" in found.judgement.reason
    closed = exact(model, x)
    assert np.all(np.abs(closed.log_evidence - truth(x, offset)) <= closed.error)


@pytest.mark.slow
@pytest.mark.stat
def test_a_log_density_of_minus_1e12_says_to_how_many_nats_it_is_known():
    model, x = model_at(0.0), data_at(1e6, n=10)
    closed = exact(model, x)
    assert np.all(np.abs(closed.log_evidence / truth(x, 0.0) - 1) < 1e-14)
    rounded = x.astype(np.float32)  # as they come, they are refused
    with pytest.raises(tb.UsageError, match="too close together for single precision"):
        jackknife(model, model.prior, x, k=100)
    for found in (
        jackknife(model, model.prior, rounded, k=100),
        hmc_density(model, rounded, chains=12, transitions=4, leapfrog=2),
        adaptive(model, rounded, method=AMIS(each=50, rounds=3)),
    ):
        assert np.min(found.rounding) > 1e4
        assert "rounding up to" in found.summary()


def test_the_verdict_is_never_trust_where_rounding_decides():
    none = np.zeros(3)
    known = Weighed(5000, none, none, none, none, np.full(3, 0.09))
    assert judge(known).word == "trust"
    known = known._replace(rounding=np.array([0.0, 0.0, 0.6]))
    judged = judge(known)
    assert judged.word == "do not trust"
    assert judged.reason.startswith("single precision alone may be 0.2 nats off")
    assert judge_each(known) == ("trust", "trust", "do not trust")


def sometimes(of):
    """A model of two columns whose log-density is undefined for z above 1, in row 1 alone."""
    prior = tb.distributions.StandardNormal(1)

    def log_joint(x, z):
        value = prior.log_prob(z) - 0.5 * jnp.sum((x - z[0]) ** 2)
        return jnp.where((x[0] > 2) & (z[0] > 1), of, value)

    return from_log_joint(log_joint, 2, prior=prior)


X = np.array([[0.0, 0.5], [2.5, 0.5], [1.0, 1.0]], np.float32)
SMALL = {"temperatures": 3, "chains": 40, "leapfrog": 1}
ESTIMATORS = {
    "evaluate": lambda m: evaluate(m, m.prior, X, k=60),
    "prior_sampling": lambda m: prior_sampling(m, X, k=60),
    "jackknife": lambda m: jackknife(m, m.prior, X, k=60),
    "annealed": lambda m: annealed(m, X, **SMALL),
    "reverse_annealed": lambda m: reverse_annealed(m, X, np.full((3, 1), 1.5), **SMALL),
    "AMIS": lambda m: adaptive(m, X, method=AMIS(each=50, rounds=2)),
    "PMC": lambda m: adaptive(m, X, method=PMC(particles=50, rounds=3, warmup=2)),
    "DMPMC": lambda m: adaptive(m, X, method=DMPMC(proposals=10, rounds=3, warmup=2)),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if n in ("evaluate", "annealed", "AMIS") else pytest.mark.slow)
        for n in ESTIMATORS
    ],
)
def test_an_undefined_weight_is_refused_with_its_row(name):
    with pytest.raises(NonFiniteError, match=r"1 data, rows 1 \(counted .*, \d+ draws in all"):
        ESTIMATORS[name](sometimes(jnp.nan))


def test_an_infinite_weight_is_refused_and_one_of_zero_is_not():
    with pytest.raises(NonFiniteError, match="rows 1 "):
        ESTIMATORS["evaluate"](sometimes(jnp.inf))
    with pytest.raises(NonFiniteError, match=r"row 1 .* NaN or infinite at z = \(1\."):
        exact(sometimes(jnp.nan), X, points=127)
    found = evaluate(sometimes(-jnp.inf), tb.distributions.StandardNormal(1), X, k=2000)
    assert np.all(np.isfinite(found.log_evidence))


def test_draws_that_are_counted_are_those_that_are_undefined():
    model = sometimes(jnp.nan)
    z = tb.evidence.draws(model, model.prior, X, n=60)
    count = int(np.sum(z[1] > 1))
    assert 0 < count < 60
    with pytest.raises(NonFiniteError, match=f" {count} draws in all"):
        evaluate(model, model.prior, X, k=60, chunk=7)
    assert jax.config.jax_enable_x64 is False
