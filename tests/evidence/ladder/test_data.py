"""`tb.evaluate(model, None, x)`: exact where it can be, else the ladder for each datum.

Linear-Gaussian models in a form that hides it have a known evidence. False alarms: a value is
compared at 4.9 of its standard errors, and the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tests.oracles import linear_gaussian as oracle
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError
from tightbound.distributions import StandardNormal, from_functions
from tightbound.evidence import ExactEvidence, LadderEvidence
from tightbound.evidence.verdict import WORDS

PLAIN = oracle.one_layer_model()
P = oracle.read(PLAIN.likelihood)
X = oracle.data(4)
TRUTH = oracle.log_evidence(PLAIN, X)


def _each(x, z):
    location = jnp.asarray(P.offset, jnp.float32) + jnp.sum(
        jnp.asarray(P.matrix, jnp.float32) * z[None, :], axis=1
    )
    scale = jnp.asarray(np.sqrt(P.variance), jnp.float32)
    return jax.scipy.stats.norm.logpdf(x, location, scale)


DISGUISED = tb.models.from_log_joint(
    lambda x, z: jnp.sum(_each(x, z)) + jnp.sum(jax.scipy.stats.norm.logpdf(z)),
    4,
    prior=StandardNormal(2),
)


def within(found, truth):
    return np.abs((found.log_evidence - truth) / found.stderr).max() < LIMIT


@pytest.fixture(scope="module")
def found():
    return tb.evaluate(DISGUISED, None, X, key=5, keep=True)


def test_closed_forms_are_exact():
    closed = tb.evaluate(PLAIN, None, X)
    assert isinstance(closed, ExactEvidence)
    np.testing.assert_allclose(closed.log_evidence, TRUTH, atol=1e-4)
    mixture = tb.models.gaussian_mixture(X, components=2)
    assert isinstance(tb.evaluate(mixture, None, X), ExactEvidence)
    with pytest.raises(UsageError, match="exact, at next to no cost: leave out budget="):
        tb.evaluate(PLAIN, None, X, budget=1000)


@pytest.mark.stat
def test_each_datum_is_right_and_in_its_place(found):
    assert isinstance(found, LadderEvidence)
    assert within(found, TRUTH)
    assert found.verdicts == ("trust",) * 4
    assert found.verdict == "trust"
    assert np.all(found.result == 0)
    np.testing.assert_array_equal(found.rows, range(4))
    assert len(found.rungs) == 4
    for name in ("stderr", "ess", "khat", "at_least", "rounding", "evaluations", "gradients"):
        column = found.diagnostics.get(name)
        assert np.shape(getattr(found, name) if column is None else column) == (4,)
    assert "100 % are trusted by themselves" in found.summary()


def test_draws_are_kept_for_each_datum(found):
    draws = found.weighted
    assert draws.z.shape == (4, found.draws, 2)
    assert draws.log_weights.shape == (4, found.draws)
    mean = draws.mean()
    precision = np.eye(2) + (P.matrix.T / P.variance) @ P.matrix
    truth = (X - P.offset) / P.variance @ P.matrix @ np.linalg.inv(precision)
    assert np.abs((mean.value - truth) / mean.stderr).max() < LIMIT


def test_a_row_does_not_depend_on_the_others(found):
    # A datum's draws come from the key and its row.
    first = tb.evaluate(DISGUISED, None, X[:1], key=5)
    assert first.log_evidence[0] == found.log_evidence[0]
    assert first.weighted is None
    # Equal data in other rows have other draws, and the same evidence.
    turned = tb.evaluate(DISGUISED, None, X[::-1], key=5)
    assert within(turned, TRUTH[::-1])
    assert not np.any(turned.log_evidence == found.log_evidence[::-1])


@pytest.mark.stat
def test_holes_and_a_condition():
    effect = np.array([0.5, -1.0, 0.3, 2.0], np.float32)

    def each(x, given):
        return _each(x - given[1][0] * jnp.asarray(effect), given[0])

    likelihood = from_functions(
        log_prob=lambda x, given: jnp.sum(each(x, given)), log_prob_each=each, dim=4
    )
    model = tb.Model(StandardNormal(2), likelihood, condition=1)
    holed = X[:3].copy()
    holed[0, 1] = holed[1, 0] = holed[1, 3] = np.nan
    c = np.array([[0.0], [1.0], [-2.0]], np.float32)
    found = tb.evaluate(model, None, tb.source(model, holed, conditions=c), key=1)
    covariance = P.matrix @ P.matrix.T + np.diag(P.variance)
    truth = []
    for x, given in zip(holed.astype(np.float64), c, strict=True):
        known = ~np.isnan(x)
        law = stats.multivariate_normal(
            (P.offset + given * effect)[known], covariance[np.ix_(known, known)]
        )
        truth.append(law.logpdf(x[known]))
    assert within(found, np.array(truth))


@pytest.mark.slow
def test_results_are_coded_for_each_datum_and_doubts_reach_the_set():
    # Of the second datum the density falls as 1 / |z| in one dimension: it has no integral, and
    # the mean weight is none that draws find.
    model = tb.models.from_log_joint(
        lambda x, z: jnp.where(
            x[0] == 0,
            jnp.sum(jax.scipy.stats.norm.logpdf(z)),
            -0.5 * jnp.sum(jnp.log1p(z**2)),
        ),
        1,
        prior=StandardNormal(1),
    )
    x = np.array([[0.0], [1.0]], np.float32)
    found = tb.evaluate(model, None, x, key=0, budget=60_000)
    assert abs(found.log_evidence[0]) < LIMIT * found.stderr[0] + 1e-4
    assert found.verdicts[0] == "trust"
    assert found.verdicts[1] != "trust"
    assert found.verdict != "trust"
    np.testing.assert_array_equal(found.result, [0, 3 if found.diagnostics["khat"][1] > 1 else 0])


def test_a_small_budget_is_shared_and_said():
    found = tb.evaluate(DISGUISED, None, X[:2], key=0, budget=200)
    assert np.all(np.isfinite(found.log_evidence))
    assert "trust" not in found.verdicts
    assert found.verdict in WORDS[1:]
    assert "0 % are trusted by themselves" in found.judgement.reason


@pytest.mark.parametrize("name", ["batch_size", "chunk", "resume"])
def test_settings_without_effect_are_refused(name, tmp_path):
    value = str(tmp_path / "part.npz") if name == "resume" else 3
    with pytest.raises(UsageError, match=f"no use for {name}="):
        tb.evaluate(DISGUISED, None, X, **{name: value})


def test_no_posterior_and_a_prior_elsewhere_is_refused():
    prior = from_functions(
        log_prob=lambda z, given: -jnp.sum(z),
        sample=lambda given, key: jax.random.exponential(key, (2,)),
        support="positive",
        dim=2,
    )
    model = tb.Model(prior, from_functions(log_prob=lambda x, z: jnp.sum(_each(x, z)), dim=4))
    with pytest.raises(UsageError, match="expected a prior on all real numbers"):
        tb.evaluate(model, None, X)


def test_budgets_beside_other_ways_are_refused():
    posterior = oracle.exact_posterior(PLAIN)
    with pytest.raises(UsageError, match="budget= is for the way without settings"):
        tb.evaluate(PLAIN, posterior, X, k=10, budget=1000)
    with pytest.raises(UsageError, match="budget and bounds_at are for the ways without by="):
        tb.evaluate(PLAIN, posterior, X, by=tb.evidence.AIS(temperatures=3), budget=1000)
    with pytest.raises(UsageError, match="expected budget= as a whole number"):
        tb.evaluate(DISGUISED, None, X, budget="soon")
