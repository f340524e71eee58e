"""Models with labels: sums over labels against enumeration, M2's bound, and what classify says.

The exact model is a mixture of linear-Gaussian ones, a component for each label, whose evidence
and posteriors are normal. False alarms: estimates are compared at 4.9 of their standard errors
(below 1e-6 each).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from tests.moved import moved
from tests.ztest import LIMIT

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.items import Items
from tightbound.distributions import (
    DiagonalNormal,
    LabelledPosterior,
    Layered,
    OverLabels,
    StandardNormal,
)
from tightbound.models import Model, labelled, of_label, stacked
from tightbound.networks import MLP, Dense, WithCondition
from tightbound.objectives import Params
from tightbound.tasks.classify import _accuracy

KEY = jax.random.key(0)
SHIFT = np.array([[-2.0, 0.0, 1.0], [0.5, 1.0, -1.0], [2.0, -1.0, 0.0]], np.float32)
"""What each of three labels adds to x."""
WEIGHT = np.array([[1.0, 0.5, -0.5]], np.float32)
LOGITS = np.array([0.3, -0.4, 0.0], np.float32)
NOISE = 0.7


def exact():
    """x = W z + shift_y + noise, and its posterior with the exact q(y|x)."""
    location = Dense(jnp.concatenate([jnp.asarray(WEIGHT), jnp.asarray(SHIFT)]), jnp.zeros(3))
    scale = Dense(jnp.zeros((4, 3)), jnp.full(3, np.log(NOISE)))
    law = DiagonalNormal(WithCondition(MLP((), "tanh")), location, scale)
    model = Model(StandardNormal(1), OverLabels(law, jnp.asarray(LOGITS)))
    precision = 1 + (WEIGHT**2).sum() / NOISE**2
    gain = WEIGHT / NOISE**2 / precision
    of_x = Dense(jnp.asarray(np.concatenate([gain.T, -SHIFT @ gain.T])), jnp.zeros(1))
    spread = Dense(jnp.zeros((6, 1)), jnp.full(1, -0.5 * np.log(precision)))
    conditional = DiagonalNormal(WithCondition(MLP((), "tanh")), of_x, spread)
    # log p(y|x) is linear in x, since all labels have one covariance.
    inverse = np.linalg.inv(WEIGHT.T @ WEIGHT + NOISE**2 * np.eye(3))
    offset = LOGITS - 0.5 * np.einsum("yi,ij,yj->y", SHIFT, inverse, SHIFT)
    classifier = Dense(
        jnp.asarray(inverse @ SHIFT.T, jnp.float32), jnp.asarray(offset, jnp.float32)
    )
    return model, LabelledPosterior(classifier=classifier, conditional=conditional, components=3)


def log_joint(x):
    """Log p(x, y) of each label, exactly."""
    covariance = WEIGHT.T @ WEIGHT + NOISE**2 * np.eye(3)
    each = [scipy.stats.multivariate_normal(s, covariance).logpdf(x) for s in SHIFT]
    return np.stack(np.atleast_2d(each), axis=1) + scipy.special.log_softmax(LOGITS)


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(3, size=n, p=scipy.special.softmax(LOGITS))
    x = rng.normal(size=(n, 1)) @ WEIGHT + SHIFT[y] + NOISE * rng.normal(size=(n, 3))
    return x.astype(np.float32), y


def test_labels_are_summed_over_and_values_may_be_missing():
    model, _ = exact()
    x, z = jnp.array([0.3, -1.0, 2.0]), jnp.array([0.4])
    mean = WEIGHT[0] * 0.4 + SHIFT
    each = scipy.stats.norm.logpdf(np.asarray(x), mean, NOISE)
    weights = scipy.special.log_softmax(LOGITS)
    law = model.likelihood
    np.testing.assert_allclose(
        law.log_prob(x, z), scipy.special.logsumexp(weights + each.sum(1)), rtol=1e-5
    )
    known = jnp.array([True, False, True])
    of_known = weights + each[:, [0, 2]].sum(1)
    found = law.log_prob_observed(x, known, z)
    np.testing.assert_allclose(found, scipy.special.logsumexp(of_known), rtol=1e-5)
    share = scipy.special.softmax(of_known)
    filled = law.mean_missing(x, known, z)
    np.testing.assert_allclose(filled, [0.3, share @ mean[:, 1], 2.0], rtol=1e-5)
    np.testing.assert_allclose(law.mean(z), np.exp(weights) @ mean, rtol=1e-5)


@pytest.mark.stat
def test_draws_have_the_moments_of_the_mixture():
    model, q = exact()
    n = 20_000
    x, z = jax.jit(jax.vmap(model.sample))(jax.random.split(KEY, n))
    share = scipy.special.softmax(LOGITS)
    first = (np.asarray(x).mean(0) - share @ SHIFT) / (np.asarray(x).std(0) / np.sqrt(n))
    assert np.abs(first).max() < LIMIT
    datum, known = jnp.array([0.3, -1.0, 2.0]), jnp.array([True, False, True])
    draws = jax.jit(
        jax.vmap(
            lambda key: model.likelihood.sample_missing(datum, known, jnp.array([0.4]), key=key)
        )
    )(jax.random.split(KEY, n))
    expected = model.likelihood.mean_missing(datum, known, jnp.array([0.4]))
    away = np.asarray(draws)[:, 1] - expected[1]
    assert abs(away.mean()) < LIMIT * away.std() / np.sqrt(n)
    sample = jax.jit(jax.vmap(lambda key: q.sample(datum, key=key)))
    z = np.asarray(sample(jax.random.split(KEY, n)))
    away = z[:, 0] - np.asarray(q.mean(datum))[0]
    assert abs(away.mean()) < LIMIT * away.std() / np.sqrt(n)


def test_a_model_of_one_label_is_a_model():
    model, q = exact()
    x, _ = drawn(5)
    each = [tb.evaluate(of_label(model, y), q, x, k=20_000) for y in range(3)]
    expected = log_joint(x) - scipy.special.log_softmax(LOGITS)
    for y, found in enumerate(each):
        z = (found.log_evidence - expected[:, y]) / np.maximum(found.stderr, 1e-3)
        assert np.abs(z).max() < LIMIT
    law = of_label(model, 2).likelihood
    np.testing.assert_allclose(law.mean(jnp.zeros(1)), SHIFT[2], rtol=1e-5)
    for label in (-1, 3):
        with pytest.raises(UsageError, match="expected a label from 0 to 2"):
            of_label(model, label)


def test_estimators_take_the_pair_and_find_the_exact_evidence():
    model, q = exact()
    x, _ = drawn(6)
    found = tb.evaluate(model, q, x, k=5)
    # At the exact posterior every weight is p(x).
    truth = scipy.special.logsumexp(log_joint(x), axis=1)
    np.testing.assert_allclose(found.log_evidence, truth, rtol=1e-4, atol=1e-4)
    assert found.stderr.max() < 1e-3


def test_the_bound_is_exact_at_the_exact_posterior():
    model, q = exact()
    x, y = drawn(6)
    label = np.where(np.arange(6) < 3, y, -1)
    items = Items(jnp.asarray(x), jnp.arange(6), label=jnp.asarray(label, jnp.int32))
    keys = jax.random.split(KEY, 6)
    objective = tb.objectives.m2(samples=2)
    bound_of = eqx.filter_jit(objective.bound)
    bound = bound_of(Params(model, q), None, items, keys)
    joint = log_joint(x)
    expected = np.where(
        label < 0, scipy.special.logsumexp(joint, axis=1), joint[np.arange(6), np.maximum(label, 0)]
    )
    np.testing.assert_allclose(bound, expected, rtol=1e-4, atol=1e-4)
    bare = bound_of(Params(model, q), None, Items.of(jnp.asarray(x)), keys)
    np.testing.assert_allclose(bare, scipy.special.logsumexp(joint, axis=1), rtol=1e-4, atol=1e-4)


def test_the_gradient_is_that_of_the_bound_and_the_classifier_s_term():
    model, q = moved(exact())
    x, y = drawn(8)
    items = Items(
        jnp.asarray(x[:5]), jnp.arange(5), label=jnp.asarray([0, 1, -1, -1, 2], jnp.int32)
    )
    beside = Items(jnp.asarray(x[5:]), jnp.arange(3), label=jnp.asarray(y[5:], jnp.int32))
    keys = jax.random.split(KEY, 5)
    objective = tb.objectives.m2(alpha=0.7, labelled=3)
    step, _ = eqx.filter_jit(objective.step)(
        Params(model, q), None, items._replace(labelled=beside), keys
    )

    def loss(q):
        bound = objective.bound(Params(model, q), None, items, keys)
        log_q = jax.vmap(q.log_shares)(beside.x)
        return -jnp.mean(bound) - 0.7 * jnp.mean(log_q[jnp.arange(3), beside.label])

    gradient = eqx.filter_jit(jax.grad(loss))(q)
    for found, expected in zip(
        jax.tree.leaves(step.grads.posterior), jax.tree.leaves(gradient), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert step.bound.shape == (5,)


def test_classify_is_bayes_rule():
    model, q = exact()
    x, y = drawn(300)
    found = tb.tasks.classify(model, q, x, k=3)
    joint = log_joint(x)
    np.testing.assert_allclose(found.log_joint, joint, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.probs, scipy.special.softmax(joint, axis=1), atol=1e-3)
    np.testing.assert_allclose(found.proposed, found.probs, atol=1e-3)
    np.testing.assert_allclose(found.ess, 3, rtol=1e-3)
    said = found.accuracy(y)
    assert said.error == np.mean(joint.argmax(1) != y)
    assert said.low < said.error < said.high
    nll = -np.mean(scipy.special.log_softmax(joint, axis=1)[np.arange(300), y])
    np.testing.assert_allclose(said.nll, nll, rtol=1e-3)
    # Probabilities that are right want no temperature.
    assert 0.7 < found.calibrated(y).temperature < 1.4
    hidden = x.copy()
    hidden[:, 1] = np.nan
    part = tb.tasks.classify(model, moved(q), hidden[:20], k=2000)
    covariance = (WEIGHT.T @ WEIGHT + NOISE**2 * np.eye(3))[np.ix_([0, 2], [0, 2])]
    each = [
        scipy.stats.multivariate_normal(s[[0, 2]], covariance).logpdf(x[:20][:, [0, 2]])
        for s in SHIFT
    ]
    truth = np.stack(each, axis=1) + scipy.special.log_softmax(LOGITS)
    z = (part.log_joint - truth) / np.maximum(part.stderr, 1e-4)
    assert np.abs(z).max() < LIMIT


def test_a_temperature_mends_confidence():
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(4000, 3))
    y = np.array([rng.choice(3, p=p) for p in scipy.special.softmax(logits, axis=1)])
    found = tb.tasks.Classified(
        log_joint=3 * logits, stderr=0 * logits, ess=logits, proposed=logits, temperature=1.0, k=1
    )
    mended = found.calibrated(y)
    assert mended.temperature == pytest.approx(3, rel=0.15)
    assert mended.accuracy(y).calibration_error < 0.5 * found.accuracy(y).calibration_error
    assert mended.accuracy(y).nll < found.accuracy(y).nll
    assert np.array_equal(mended.labels, found.labels)
    some = np.where(np.arange(4000) < 300, -1, y)
    rest = tb.tasks.Classified(
        log_joint=found.log_joint[300:], stderr=0 * logits[300:], ess=logits[300:],
        proposed=logits[300:], temperature=1.0, k=1,
    )  # fmt: skip
    assert found.accuracy(some) == rest.accuracy(y[300:])
    assert found.calibrated(some).temperature == rest.calibrated(y[300:]).temperature
    with pytest.raises(UsageError, match="expected a label that is known, got 4000 of -1"):
        found.accuracy(np.full(4000, -1))


def test_errors_and_intervals_are_those_of_the_binomial():
    log_p = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]]))
    found = _accuracy(log_p, np.array([0, 1, 1, 0]))
    assert found.error == 0.25
    np.testing.assert_allclose([found.low, found.high], [0.0063, 0.8059], atol=1e-4)
    np.testing.assert_allclose(found.nll, -np.mean(np.log([0.9, 0.8, 0.3, 0.6])))
    np.testing.assert_allclose(found.calibration_error, (0.1 + 0.2 + 0.7 + 0.4) / 4)


@pytest.mark.slow
def test_few_labels_teach_what_all_data_have(tmp_path):
    rng = np.random.default_rng(1)
    y = rng.integers(3, size=600)
    centre = np.array([[-4.0, 0.0], [0.0, 4.0], [4.0, 0.0]])
    x = (centre[y] + 0.5 * rng.normal(size=(600, 2))).astype(np.float32)
    known = np.full(600, -1)
    known[:9] = y[:9]
    model, q = labelled(x, 3, latent=1, hidden=(16,), likelihood="gaussian")
    source = tb.source(model, x, labels=known)
    run = tb.fit(
        model, q, source, objective="m2(alpha=0.5, labelled=9)", epochs=40, batch_size=50,
        optimizer="adam(learning_rate=0.01)", seeds=2,
    )  # fmt: skip
    found = tb.tasks.classify(run.model, run.posterior, x, k=20)
    assert found.accuracy(y).error < 0.05
    tb.save(tmp_path / "m.safetensors", run)
    back = tb.load(tmp_path / "m.safetensors")
    again = tb.tasks.classify(back.model, back.posterior, x, k=20)
    assert np.array_equal(again.log_joint, found.log_joint)
    draws = tb.evaluate(run.model, run.posterior, x[:5], k=4000)
    by = tb.evidence.annealed(run.model, x[:5], temperatures=100, chains=32)
    z = (by.log_evidence - draws.log_evidence) / np.hypot(np.maximum(by.stderr, 0.02), draws.stderr)
    assert np.abs(z).max() < LIMIT


def test_m1_and_m2_are_one_model():
    x = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    m1 = tb.autoencoder(x, latent=3, hidden=(5,), likelihood="gaussian")
    codes = np.asarray(jax.jit(jax.vmap(m1[1].mean))(jnp.asarray(x)))
    m2 = labelled(codes, 2, latent=1, hidden=(4,), likelihood="gaussian")
    model, q = stacked(m1, m2)
    assert isinstance(q, Layered)

    @eqx.filter_jit
    def both(model, q, m1, m2, x):
        z = q.sample(x, key=KEY)
        return model.log_joint(x, z), m2[0].log_joint(z[0], z[1]) + m1[0].log_likelihood(x, z[0])

    found, expected = both(model, q, m1, m2, jnp.asarray(x[0]))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.isfinite(tb.evaluate(model, q, x[:3], k=10).log_evidence).all()


def test_what_does_not_fit_is_refused():
    x = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    model, q = labelled(x, 3, latent=1, hidden=(4,), likelihood="gaussian")
    for options, words in (
        ({"layers": 2}, "leave out layers"),
        ({"condition": 1}, "leave out condition"),
        ({"classes": 1}, "expected classes >= 2"),
    ):
        with pytest.raises(UsageError, match=words):
            labelled(x, **{"classes": 3, "latent": 1, "likelihood": "gaussian", **options})
    fitting = {"objective": "m2()", "epochs": 1, "batch_size": 10}
    with pytest.raises(UsageError, match="learns from labels, and data have none"):
        tb.fit(model, q, x, **fitting)
    for labels, words in (
        (np.full(30, -1), "data have none"),
        (np.arange(30) % 4, "expected labels below 3, as many as the model has, got 3"),
    ):
        with pytest.raises(UsageError, match=words):
            tb.fit(model, q, tb.source(model, x, labels=labels), **fitting)
    plain = tb.autoencoder(x, latent=1, hidden=(4,), likelihood="gaussian")
    with pytest.raises(UsageError, match=r"expected both parts of tb\.models\.labelled"):
        tb.tasks.classify(*plain, x)
    with pytest.raises(UsageError, match="m2"):
        tb.fit(*plain, x, **fitting)
    found = tb.tasks.classify(model, q, x, k=2)
    with pytest.raises(UsageError, match="expected 30 labels from 0 to 2"):
        found.accuracy(np.zeros(29))
    for alpha in (-1.0, float("nan")):
        with pytest.raises(UsageError, match="expected alpha >= 0"):
            tb.objectives.m2(alpha=alpha)
