"""Models and proposals given as plain functions on arrays: the same numbers, and clear refusals."""

import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tests.oracles.linear_gaussian import data, exact_parts, log_evidence
from tightbound.core.errors import NonFiniteError, UsageError
from tightbound.distributions import StandardNormal, from_functions
from tightbound.evidence.annealing.ais import problem_of
from tightbound.models import from_log_joint
from tightbound.models.weights import log_weights, split_each
from tightbound.networks import MLP, Dense

PARTS = exact_parts(1)
X = data(6)
EXACT = log_evidence(PARTS.model, X)
# As plain numbers: z ~ N(0, I), x ~ N(A z + b, s^2), q(z|x) = N(C x + d, t^2).
P: Any = PARTS.model.likelihood
Q: Any = PARTS.posterior
A, B, S = (np.asarray(a) for a in (P.location.weight, P.location.bias, np.exp(P.log_scale.bias)))
C, D, T = (np.asarray(a) for a in (Q.location.weight, Q.location.bias, np.exp(Q.log_scale.bias)))
SHORT: Any = {"temperatures": 2, "chains": 2, "leapfrog": 1, "pilot": 2}


def normal(value, mean, scale):
    return jnp.sum(-0.5 * ((value - mean) / scale) ** 2 - jnp.log(scale) - 0.5 * np.log(2 * np.pi))


def log_joint(x, z):
    return normal(z, 0.0 * z, jnp.ones(2)) + normal(x, z @ A + B, S)


def draw_x(z, key):
    return z @ A + B + S * jax.random.normal(key, (4,))


def draw_z(x, key):
    return x @ C + D + T * jax.random.normal(key, (2,))


def log_q(z, x):
    return normal(z, x @ C + D, T)


ALONE = from_log_joint(log_joint, 4)
WITH_PRIOR = from_log_joint(log_joint, 4, prior=StandardNormal(2), sample=draw_x)
APART = tb.Model(
    from_functions(
        log_prob=lambda z, _: normal(z, 0.0 * z, jnp.ones(2)),
        sample=lambda _, key: jax.random.normal(key, (2,)),
        dim=2,
    ),
    from_functions(
        log_prob=lambda x, z: normal(x, z @ A + B, S),
        sample=draw_x,
    ),
)
PROPOSAL = from_functions(log_prob=log_q, sample=draw_z, mean=lambda x: x @ C + D, dim=2)
MODELS = pytest.mark.parametrize("model", [ALONE, WITH_PRIOR, APART], ids=["alone", "prior", "two"])


def evaluate(model, posterior=PROPOSAL, x=X, **options):
    return tb.evaluate(model, posterior, x, **{"k": 30, "progress": False, **options})


def log_w(model, posterior=PROPOSAL, k=3):
    """Log-weights of a few draws; equal to log p(x) for the exact posterior, whatever the draw."""
    keys = split_each(jax.random.split(jax.random.key(0), len(X)), k)
    return np.asarray(eqx.filter_jit(log_weights)(model, posterior, jnp.asarray(X), keys))


def same_for_all_draws(values):
    np.testing.assert_allclose(values, np.repeat(EXACT[:, None], 3, axis=1), atol=1e-4)


def test_plain_functions_give_the_exact_evidence():
    ev = evaluate(ALONE, k=50)
    np.testing.assert_allclose(ev.log_evidence, EXACT, atol=1e-4)
    assert ev.stderr.max() < 1e-4
    assert ev.binarisation == "none (values as they are)"


@MODELS
def test_every_draw_of_the_exact_posterior_weighs_the_evidence(model):
    same_for_all_draws(log_w(model))


def wide(native):
    """The proposal with half its precision, as ours or as functions."""
    if native:
        q = PARTS.posterior
        bias = q.log_scale.bias + np.log(2.0).astype(np.float32)
        return eqx.tree_at(lambda q: q.log_scale.bias, q, bias)
    return from_functions(
        log_prob=lambda z, x: normal(z, x @ C + D, 2 * T),
        sample=lambda x, key: x @ C + D + 2 * T * jax.random.normal(key, (2,)),
        mean=lambda x: x @ C + D,
    )


def test_every_number_is_that_of_the_native_model():
    ours, theirs = evaluate(PARTS.model, wide(True)), evaluate(WITH_PRIOR, wide(False))
    assert ours.stderr.min() > 0.05
    for name in ("log_evidence", "stderr", "ess", "khat", "elbo"):
        np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "start"),
    [
        (ALONE, "q"),
        pytest.param(WITH_PRIOR, "q", marks=pytest.mark.slow),
        pytest.param(WITH_PRIOR, None, marks=pytest.mark.slow),
        (APART, None),
    ],
    ids=["alone, q", "prior, q", "prior", "two"],
)
def test_what_is_annealed_is_that_of_the_native_model(model, start):
    ours = problem_of(PARTS.model, start and wide(True))
    theirs = problem_of(model, start and wide(False))
    x, key = jnp.asarray(X[0]), jax.random.key(1)
    z = ours.start(x, key)
    np.testing.assert_allclose(theirs.start(x, key), z, rtol=1e-5)
    for name in ("base", "tilt"):
        f, g = getattr(ours, name), getattr(theirs, name)
        np.testing.assert_allclose(g(x, z), f(x, z), rtol=1e-5)
        np.testing.assert_allclose(jax.grad(g, 1)(x, z), jax.grad(f, 1)(x, z), rtol=1e-4)


def test_annealing_from_the_exact_posterior_is_exact():
    ais = tb.evidence.annealed(ALONE, X, start=PROPOSAL, **SHORT)
    np.testing.assert_allclose(ais.log_evidence, EXACT, atol=1e-3)
    assert ais.direction == "lower"


@pytest.mark.slow
def test_estimators_with_the_exact_posterior_are_exact():
    z = jax.vmap(draw_z)(jnp.asarray(X), jax.random.split(jax.random.key(0), len(X)))
    back = tb.evidence.reverse_annealed(ALONE, X, z, start=PROPOSAL, **SHORT)
    np.testing.assert_allclose(back.log_evidence, EXACT, atol=1e-3)
    jackknife = tb.evidence.jackknife(ALONE, PROPOSAL, X, k=5)
    np.testing.assert_allclose(jackknife.log_evidence, EXACT, atol=1e-4)
    both = tb.sandwich(APART, PROPOSAL, n=5, **SHORT)
    np.testing.assert_allclose(both.lower.log_evidence, log_evidence(PARTS.model, both.x), atol=0.1)
    assert abs(both.gap) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("model", [WITH_PRIOR, APART], ids=["prior", "two"])
def test_what_starts_at_the_prior_works_where_there_is_one(model):
    few: Any = {"chains": 40, "transitions": 10, "leapfrog": 3}
    ours = tb.evidence.hmc_density(PARTS.model, X, **few)
    theirs = tb.evidence.hmc_density(model, X, **few)
    np.testing.assert_allclose(theirs.log_evidence, ours.log_evidence, atol=0.1)
    ours = tb.evidence.prior_sampling(PARTS.model, X, k=100)
    theirs = tb.evidence.prior_sampling(model, X, k=100)
    np.testing.assert_allclose(theirs.log_evidence, ours.log_evidence, rtol=1e-4)


def test_active_units():
    ours = tb.diagnostics.active_units(PARTS.model, PARTS.posterior, X)[0]
    theirs = tb.diagnostics.active_units(ALONE, PROPOSAL, X)[0]
    np.testing.assert_allclose(theirs.variance, ours.variance, rtol=1e-4)


@pytest.mark.parametrize(
    "use",
    [
        lambda: tb.evidence.annealed(ALONE, X, **SHORT),
        lambda: tb.evidence.hmc_density(ALONE, X),
        lambda: tb.evidence.prior_sampling(ALONE, X, k=30),
        lambda: tb.sandwich(ALONE, PROPOSAL, n=2, **SHORT),
        lambda: ALONE.prior.mean(None),
    ],
)
def test_what_needs_a_prior_says_so(use):
    with pytest.raises(UsageError, match=r"this needs (draws of )?a prior p\(z\)"):
        use()


def test_draws_and_means_that_are_missing():
    silent = from_functions(log_prob=log_q)
    with pytest.raises(UsageError, match="pass sample= too"):
        evaluate(ALONE, silent)
    with pytest.raises(UsageError, match="pass mean= too"):
        tb.diagnostics.active_units(ALONE, silent, X)
    nameless = tb.Model(
        StandardNormal(2), from_functions(log_prob=lambda x, z: normal(x, z @ A, S))
    )
    with pytest.raises(UsageError, match="how many columns data have: pass dim="):
        evaluate(nameless)
    with pytest.raises(UsageError, match="pass sample= too"):
        tb.sandwich(from_log_joint(log_joint, 4, prior=StandardNormal(2)), n=2, **SHORT)


def weights(tree):
    """All arrays of functions that are Equinox modules."""
    return [leaf.shape for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def test_arrays_inside_functions_may_be_arguments_of_the_program():
    def by_arrays(arrays, x, z):
        a, b, s = arrays
        return normal(z, 0.0 * z, jnp.ones(2)) + normal(x, z @ a + b, s)

    arrays = tuple(map(jnp.asarray, (A, B, S)))
    model = from_log_joint(jax.tree_util.Partial(by_arrays, arrays), 4)
    assert weights(model) == [(2, 4), (4,), (4,)]
    same_for_all_draws(log_w(model))
    network = MLP((Dense(*arrays[:2]),), "tanh")
    assert weights(from_functions(log_prob=network)) == [(2, 4), (4,)]


def test_latents_may_be_a_tuple_of_layers():
    def split(x, key):
        z = draw_z(x, key)
        return z[:1], z[1:]

    model = from_log_joint(lambda x, z: log_joint(x, jnp.concatenate(z)), 4)
    q = from_functions(log_prob=lambda z, x: log_q(jnp.concatenate(z), x), sample=split)
    same_for_all_draws(log_w(model, q))


def test_functions_for_batches_by_the_recipe():
    batched = jax.vmap(log_joint)
    model = from_log_joint(lambda x, z: batched(x[None], z[None])[0], 4)
    same_for_all_draws(log_w(model))


def test_grey_values_are_binarised_where_values_are_binary():
    grey = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    logits = np.array([[0.3, -1.0, 0.5, 2.0]], np.float32)

    def log_bernoulli(x, z):
        return jnp.sum(x * jax.nn.log_sigmoid(logits[0]) + (1 - x) * jax.nn.log_sigmoid(-logits[0]))

    prior = StandardNormal(1)
    model = from_log_joint(
        lambda x, z: prior.log_prob(z) + log_bernoulli(x, z), 4, prior=prior, support="binary"
    )
    ev = evaluate(model, prior, grey, k=3)
    assert ev.binarisation == "one draw per item"
    # The likelihood does not depend on z: each datum has the mass of one binary vector.
    every = np.array(list(itertools.product((0, 1), repeat=4)))
    masses = stats.bernoulli(1 / (1 + np.exp(-logits))).logpmf(every).sum(axis=1)
    assert np.abs(ev.log_evidence[:, None] - masses[None]).min(axis=1).max() < 1e-5
    with pytest.raises(UsageError, match="row 0, column 0 .* expected 0 or 1"):
        evaluate(model, prior, grey, binarize="none")


@pytest.mark.parametrize(
    ("support", "value", "expected"),
    [
        ("unit", 1.5, r"a number in \[0, 1\]"),
        ("positive", 0.0, "a positive number"),
        ("real", np.inf, "a finite number"),
        ("binary", -np.inf, "a finite number"),
    ],
)
def test_data_outside_the_declared_support(support, value, expected):
    x = np.full((3, 4), 0.5, np.float32)
    x[1, 2] = value
    with pytest.raises(UsageError, match=f"row 1, column 2 .* expected {expected}"):
        evaluate(from_log_joint(log_joint, 4, support=support), x=x)


def test_data_of_another_width():
    for model in (ALONE, WITH_PRIOR, APART):
        with pytest.raises(UsageError, match="expected 4 columns, as many as the model has, got 3"):
            evaluate(model, x=X[:, :3])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            lambda x, z: (x - z @ A - B) ** 2,
            r"\(x, z\) of one value .* got \(4,\) for .* \(4,\), \(",
        ),
        (lambda x, z: log_joint(x, z)[None], r"an array of shape \(\), got \(1,\)"),
        (lambda x, z: (log_joint(x, z), z), r"got tuple of \(\), \(2,\)"),
        (lambda x, z: None, "got NoneType"),
        (lambda x, z: jnp.sum(x) > 0, "one real number in float32, got bool"),
        (lambda x, z: jnp.astype(log_joint(x, z), jnp.bfloat16), "in float32, got bfloat16"),
        (lambda x, z: jnp.astype(log_joint(x, z), jnp.complex64), "in float32, got complex64"),
        (lambda x, z: stats.norm.logpdf(z).sum(), r"log_joint\(x, z\) to be written in jax.numpy"),
        (lambda x, z: np.exp(z).sum(), "written in jax.numpy throughout"),
        (lambda x, z: math.exp(z[0]), "written in jax.numpy throughout"),
    ],
)
def test_a_log_joint_that_is_no_single_number(wrong, message):
    for prior in (None, StandardNormal(2)):
        with pytest.raises(UsageError, match=message):
            evaluate(from_log_joint(wrong, 4, prior=prior))


def test_a_proposal_that_is_none():
    wrong = from_functions(log_prob=lambda z, x: (z - x[:2]) ** 2, sample=draw_z)
    with pytest.raises(UsageError, match=r"log_prob\(value, given\) of one value .* got \(2,\)"):
        evaluate(ALONE, wrong)
    wrong = from_functions(log_prob=log_q, sample=lambda x, key: draw_z(x, key)[None], dim=2)
    with pytest.raises(UsageError, match=r"sample to give one value of shape \(2,\), got \(1, 2\)"):
        evaluate(ALONE, wrong)
    with pytest.raises(UsageError, match="expected a posterior, got function"):
        tb.evaluate.__wrapped__(ALONE, draw_z, X)


def test_an_error_inside_a_function_says_where():
    with pytest.raises(TypeError) as caught:
        evaluate(from_log_joint(lambda x, z: log_joint(x, z[:1]), 4))
    notes = " ".join(caught.value.__notes__)
    assert "in log_joint(x, z), called with shapes (4,), (2,)" in notes


def test_nan_is_an_error_that_names_rows():
    def sometimes(x, z):
        return jnp.where(x[0] == X[3, 0], jnp.nan, log_joint(x, z))

    with pytest.raises(NonFiniteError, match=r"is NaN for draws of 1 data, rows 3 \(counted"):
        evaluate(from_log_joint(sometimes, 4))


def test_draws_outside_the_priors_support_weigh_nothing():
    def half(x, z):
        return jnp.where(z[0] > 0, log_joint(x, z), -jnp.inf)

    prior = from_functions(
        log_prob=lambda z, _: jnp.where(z[0] > 0, normal(z, 0.0 * z, jnp.ones(2)), -jnp.inf)
    )
    wide_q = wide(False)
    alone = log_w(from_log_joint(half, 4), wide_q, k=50)
    np.testing.assert_allclose(log_w(from_log_joint(half, 4, prior=prior), wide_q, k=50), alone)
    assert 0 < np.mean(alone == -np.inf) < 1
    assert not np.any(np.isnan(alone))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: from_functions(log_prob=log_q, support="reals"),
            "support out of binary, .*'reals'",
        ),
        (lambda: from_functions(log_prob=log_q, dim=0), "expected dim >= 1, got 0"),
        (lambda: from_log_joint(log_joint, 0), "expected columns >= 1, got 0"),
        (lambda: from_log_joint(log_joint, 4, support="grey"), "expected a support out of"),
    ],
)
def test_wrong_use_is_refused_in_words(make, message):
    with pytest.raises(UsageError, match=message):
        make()
