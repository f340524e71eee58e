"""What the fitted tail says, against numerical integrals of its law and against its own spread."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from tests.ztest import LIMIT
from tightbound.evidence.estimate import of_log_weights
from tightbound.evidence.importance import tail as of
from tightbound.evidence.importance.pareto import standard_error
from tightbound.evidence.terms import CHAINS

weighed = jax.jit(of_log_weights, static_argnums=1)


@pytest.mark.parametrize("shape", [-0.4, -0.01, 0.02, 0.3, 0.5, 0.7, 1.0, 1.4])
def test_moments_of_the_tail_are_integrals_of_its_law(shape):
    scale, cutoff, most = 0.5, 0.2, 2000
    at = float(of._away_from_zero(jnp.asarray(shape)))

    def weight(p):
        return cutoff + scale * (p**-at - 1) / at

    second = integrate.quad(lambda u: weight(np.exp(-u)) ** 2 * np.exp(-u), 0, np.log(most))[0]
    second += cutoff**2 / most  # the formula leaves the cutoff's share whole
    found = of._second_moment(*(jnp.asarray(a, jnp.float32) for a in (at, scale, cutoff)), most)
    assert float(found) == pytest.approx(second, rel=3e-3)
    # Beyond the largest weight of k draws: k times the integral beyond its quantile, less it.
    there = scale + at * (1 - cutoff)
    excess = integrate.quad(
        lambda u: there * (np.exp(at * u) - 1) / at * np.exp(-u), 0, np.log(of.MORE_DRAWS)
    )[0]
    found = of._excess(*(jnp.asarray(a, jnp.float32) for a in (at, scale, 1 - cutoff)))
    assert float(found) == pytest.approx(excess, rel=3e-3)


@pytest.mark.stat
@pytest.mark.parametrize("shape", [0.3, 0.7, 0.9])
def test_the_upper_end_of_khat_is_seldom_below_the_shape(shape):
    # Of weights that follow the law everywhere; the false alarm of the comparison is LIMIT's.
    rows = 2000
    u = np.random.default_rng(3).random((rows, 1000))
    khat = np.asarray(weighed(jnp.asarray(np.log((u**-shape - 1) / shape))).tail["khat"])
    above = np.mean(khat + of.UPPER * standard_error(khat, 1000) > shape)
    assert above > 0.97 - LIMIT * np.sqrt(0.97 * 0.03 / rows)


@pytest.mark.stat
def test_what_is_missing_is_what_further_draws_add_on_average():
    # Of a Pareto tail with shape 0.5: the sum of k draws less what is below the quantile 1 - 1/k.
    rows, k, shape = 4000, 250, 0.5
    log_w = -shape * np.log(np.random.default_rng(4).random((rows, k)))
    found = weighed(jnp.asarray(log_w, jnp.float32))
    excess = np.expm1(np.asarray(found.tail["missing"], np.float64))
    # k E[w - w_k; w > w_k] / (k E[w]) with w_k = k^shape: k^(shape - 1) shape
    truth = k ** (shape - 1) * shape
    assert np.median(excess) == pytest.approx(truth, rel=0.35)


def test_few_or_no_weights():
    one = weighed(jnp.zeros((1, 1)), CHAINS)
    assert np.isnan(one.stderr).all()
    none = weighed(jnp.full((1, 8), -jnp.inf), CHAINS)
    assert np.isnan(none.stderr).all()
    assert none.log_z == -np.inf
    same = weighed(jnp.full((2, 60), -525.0))
    np.testing.assert_allclose(same.stderr, 0, atol=1e-6)
    assert np.all(same.tail["most_missing"] == 0)
    # Few chains have no tail; Student's t widens their error.
    w = np.random.default_rng(5).normal(0, 0.1, (1, 8))
    found = weighed(jnp.asarray(w, jnp.float32), CHAINS)
    assert np.isnan(found.tail["khat"]).all()
    plain = np.exp(w).std(ddof=1) / np.sqrt(8) / np.exp(w).mean()
    factor = stats.t.ppf(0.975, 7) / stats.norm.ppf(0.975)
    assert found.stderr.item() == pytest.approx(plain * factor, rel=1e-3)
