"""Conditionals and priors of the catalogue, and the autoencoders that are built of them."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests import once
from tests.distributions.families.truths import TRUTHS

import tightbound as tb
from tightbound.distributions import (
    FAMILIES,
    Bernoulli,
    BernoulliPrior,
    Conditional,
    DiagonalNormal,
    FamilyPrior,
    StandardNormal,
)
from tightbound.distributions.families import by_name
from tightbound.networks import MLP, Dense
from tightbound.objectives import Params

BINARY = (np.random.default_rng(0).random((6, 5)) < 0.5).astype(np.float32)
SIZES = {"latent": 2, "hidden": (3,)}
NAMES = [*FAMILIES, "erlang:3"]
# Made of gammas, whose implicit gradients take long to compile; one of them stands for all.
GAMMAS = ("dirichlet", "beta", "f", "student_t", "chi_squared", "elliptical_t", "erlang:3")
each_family = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in GAMMAS else name for name in NAMES],
)


def with_heads_at(posterior, value):
    """The same posterior with the bias of every head at a value."""
    biases = lambda q: [head.bias for head in q.heads]  # noqa: E731
    return eqx.tree_at(biases, posterior, [jnp.full_like(b, value) for b in biases(posterior)])


@each_family
def test_an_autoencoder_of_each_family_learns_and_survives_extremes(name):
    parts = Params(*tb.autoencoder(BINARY, posterior=name, **SIZES))
    objective = tb.objectives.elbo(samples=2)
    step = once.compiled(objective)
    objective.check(parts)
    x = jnp.asarray(BINARY)
    for number in range(3):
        keys = jax.random.split(jax.random.key(number), len(x))
        outcome = step(parts, x, keys)
        assert outcome.bound.shape == (6,)
        assert np.all(np.isfinite(outcome.bound))
        for leaf in jax.tree.leaves(outcome.grads.posterior):
            assert np.all(np.isfinite(leaf))
            assert np.any(leaf != 0)
        changed = eqx.apply_updates(parts, jax.tree.map(lambda g: -0.01 * g, outcome.grads))
        parts = Params(*changed)
    for value in (-5.0, 5.0):
        if name != "normal":
            extreme = parts._replace(posterior=with_heads_at(parts.posterior, value))
            outcome = step(extreme, x, jax.random.split(jax.random.key(9), len(x)))
            assert np.all(np.isfinite(outcome.bound))
            for leaf in jax.tree.leaves(outcome.grads):
                assert np.all(np.isfinite(leaf))


def conditional(name, dim=3):
    """A conditional whose heads are zero at GIVEN: the standard member."""
    heads = tuple(Dense(jnp.zeros((2, size)), jnp.zeros(size)) for size in by_name(name).sizes(dim))
    return Conditional(MLP((), "tanh"), heads, name)


GIVEN = jnp.asarray([0.4, -2.0])
CHEAP = ["cauchy", "weibull", "uniform", "elliptical", "log_normal"]


@pytest.mark.parametrize("name", CHEAP)
def test_heads_of_zero_are_the_standard_prior(name):
    q, p, key = conditional(name), FamilyPrior(3, name), jax.random.key(5)
    for one, other in zip(q.parameters(GIVEN), p.parameters(), strict=True):
        np.testing.assert_array_equal(one, other)
    value, log_prob = q.sample_and_log_prob(GIVEN, key=key)
    assert value.shape == (3,)
    assert value.dtype == log_prob.dtype == jnp.float32
    assert log_prob.shape == ()
    np.testing.assert_array_equal(value, q.sample(GIVEN, key=key))
    np.testing.assert_allclose(log_prob, q.log_prob(value, GIVEN), rtol=1e-6)
    drawn, drawn_log_prob = p.sample_and_log_prob(None, key=key)
    np.testing.assert_array_equal(drawn, value)
    np.testing.assert_array_equal(drawn, p.sample(key=key))
    np.testing.assert_allclose(drawn_log_prob, log_prob, rtol=1e-6)
    np.testing.assert_array_equal(p.mean(), q.mean(GIVEN))
    if by_name(name).fixed_support:
        learned = FamilyPrior.learned(3, name)
        np.testing.assert_allclose(learned.log_prob(value), log_prob, rtol=1e-6)
        slopes = jax.grad(lambda prior: prior.log_prob(value))(learned)
        assert len(slopes.free) == len(by_name(name).parameters)
        assert all(np.any(slope != 0) for slope in slopes.free)


def test_free_numbers_become_parameters():
    student = by_name("elliptical_t")
    assert student.sizes(3) == (3, 6, 1)
    location, factor, df = student.values(
        (jnp.asarray([1.0, 2.0, 3.0]), jnp.arange(6.0), jnp.asarray([4.0]))
    )
    np.testing.assert_array_equal(location, [1, 2, 3])
    exact = [[1, 0, 0], [1, np.exp(2), 0], [3, 4, np.exp(5)]]
    np.testing.assert_allclose(factor, exact, rtol=1e-6)
    c = np.log(np.expm1(5 - 1e-3))
    np.testing.assert_allclose(df, 1e-3 + np.log1p(np.exp(4 + c)), rtol=1e-6)
    low, width, mode = by_name("triangular").values(
        tuple(jnp.full((1,), v) for v in (2.0, 0.5, 40.0))
    )
    assert (low, mode) == (2, np.float32(1 - 1e-6))
    np.testing.assert_allclose(width, np.exp(0.5), rtol=1e-6)
    np.testing.assert_allclose(by_name("gamma").values((jnp.zeros(1),) * 2), [[2], [1]], rtol=1e-6)


@pytest.mark.parametrize("name", TRUTHS)
def test_centres_are_what_they_say(name):
    family, truth = FAMILIES[name], TRUTHS[name]
    centre = family.centre(*(jnp.asarray(p, jnp.float32) for p in truth.parameters))
    frozen = truth.scipy(*(np.asarray(p) for p in truth.parameters))
    exact = {
        "mean": frozen.mean,
        "median": frozen.median,
        "geometric mean": lambda: np.exp(truth.moment(*map(np.asarray, truth.parameters))),
    }[family.centre_is]()
    np.testing.assert_allclose(centre, exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["uniform", "triangular", "reciprocal", "pareto"])
def test_nothing_lies_outside_an_interval(name):
    prior = FamilyPrior(1, name)
    outside = {"pareto": [0.99, 0.5], "reciprocal": [0.99, 2.8]}.get(name, [-0.01, 1.01])
    for value in outside:
        assert prior.log_prob(jnp.asarray([value])) == -jnp.inf
    inside = 1.5 if name in ("reciprocal", "pareto") else 0.4
    assert np.isfinite(prior.log_prob(jnp.asarray([inside])))


def test_a_bernoulli_prior_is_that_of_its_logits():
    prior = BernoulliPrior(jnp.asarray([0.0, -1.5, 2.0]))
    p = 1 / (1 + np.exp([0.0, 1.5, -2.0]))
    np.testing.assert_allclose(prior.mean(), p, rtol=1e-6)
    for value in np.ndindex(2, 2, 2):
        exact = np.sum(np.where(value, np.log(p), np.log1p(-p)))
        log_prob = prior.log_prob(jnp.asarray(value, jnp.float32))
        np.testing.assert_allclose(log_prob, exact, rtol=1e-6)
    keys = jax.random.split(jax.random.key(0), 4000)
    drawn, log_prob = jax.vmap(lambda key: prior.sample_and_log_prob(None, key=key))(keys)
    assert set(np.unique(drawn)) == {0, 1}
    # False alarms: three means at 4.9 standard errors.
    assert np.all(np.abs(drawn.mean(axis=0) - p) < 4.9 * np.sqrt(p * (1 - p) / 4000))
    np.testing.assert_allclose(log_prob[7], prior.log_prob(drawn[7]), rtol=1e-6)
    assert (prior.support, prior.reparameterized) == ("binary", False)


def families_of(model, posterior):
    return type(model.prior), type(posterior), getattr(model.prior, "family", None)


@pytest.mark.parametrize(
    ("names", "built"),
    [
        ({}, (StandardNormal, DiagonalNormal, None)),
        ({"prior": "laplace"}, (FamilyPrior, DiagonalNormal, "laplace")),
        ({"posterior": "laplace", "prior": "normal"}, (StandardNormal, Conditional, None)),
        ({"posterior": "gamma"}, (FamilyPrior, Conditional, "gamma")),
        ({"posterior": "beta", "prior": "uniform"}, (FamilyPrior, Conditional, "uniform")),
        ({"posterior": "uniform"}, (StandardNormal, Conditional, None)),
        ({"posterior": "pareto"}, (FamilyPrior, Conditional, "log_normal")),
        ({"posterior": "bernoulli"}, (BernoulliPrior, Bernoulli, None)),
    ],
)
def test_names_choose_posterior_and_prior(names, built):
    assert families_of(*tb.autoencoder(BINARY, **names, **SIZES)) == built


@pytest.mark.parametrize(
    "name", [pytest.param("elliptical", marks=pytest.mark.slow), "log_normal", "bernoulli"]
)
def test_all_layers_are_of_the_posteriors_family(name):
    model, posterior = tb.autoencoder(BINARY, layers=2, posterior=name, **SIZES)
    kind = Bernoulli if name == "bernoulli" else Conditional
    (top, middle), chain = model.prior.conditionals, posterior.conditionals
    assert isinstance(top, BernoulliPrior if name == "bernoulli" else FamilyPrior)
    assert all(isinstance(part, kind) for part in (middle, *chain))
    support = {"elliptical": "real", "log_normal": "positive", "bernoulli": "binary"}[name]
    assert posterior.support == model.prior.support == support
    assert posterior.reparameterized == (name != "bernoulli")
    assert posterior.fixed_support
    bound = eqx.filter_jit(functools.partial(once.bound, tb.objectives.iwae(k=3)))
    keys = jax.random.split(jax.random.key(1), 6)
    assert np.all(np.isfinite(bound(Params(model, posterior), jnp.asarray(BINARY), keys)))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            {"posterior": "gama"},
            "expected posterior to be one of gamma, exponential, cauchy, logistic, rayleigh, "
            "pareto, weibull, reciprocal and 19 others, got 'gama'; did you mean gamma?",
        ),
        ({"prior": "erlang:0"}, "expected erlang:K with a whole number K >= 1, got 'erlang:0'"),
        (
            {"posterior": "laplace", "prior": "gamma"},
            "expected a prior whose support holds the posterior's: draws of laplace are real, "
            "those of the prior gamma positive",
        ),
        (
            {"posterior": "uniform", "prior": "uniform"},
            "expected a prior whose support holds the posterior's: draws of uniform are real "
            "([low, low + width], which moves with its parameters), those of the prior uniform "
            "unit",
        ),
        (
            {"posterior": "gamma", "prior": "pareto"},
            "expected a prior whose support holds the posterior's: draws of gamma are positive, "
            "those of the prior pareto [1, inf)",
        ),
        (
            {"posterior": "beta", "prior": "dirichlet"},
            "expected a prior whose support holds the posterior's: draws of beta are unit, "
            "those of the prior dirichlet simplex",
        ),
        (
            {"prior": "bernoulli"},
            "expected a prior whose support holds the posterior's: draws of normal are real, "
            "those of the prior bernoulli binary",
        ),
        (
            {"posterior": "bernoulli", "prior": "normal"},
            "expected a prior whose support holds the posterior's: draws of bernoulli are binary, "
            "those of the prior normal real",
        ),
        (
            {"posterior": "pareto", "layers": 2},
            "expected a posterior of fixed support for several layers, got pareto: draws of "
            "q(h_1|x) may lie outside the support [scale, inf) of p(h_1|h_2)",
        ),
        (
            {"posterior": "dirichlet", "latent": 1},
            "expected 2 latent units or more on a simplex, got latent=[1]",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_words(names, message):
    with pytest.raises(tb.UsageError) as error:
        tb.autoencoder(BINARY, **(SIZES | names))
    assert str(error.value) == message


def test_conditionals_and_priors_refuse_what_does_not_fit():
    with pytest.raises(tb.UsageError, match="^expected a family out of .*, got 'gama'$"):
        FamilyPrior(2, "gama")
    message = r"^expected a head for each parameter of gamma \(shape, rate\), got 1$"
    with pytest.raises(tb.UsageError, match=message):
        Conditional(MLP((), "tanh"), conditional("exponential").heads, "gamma")
    message = r"^a prior of the family uniform cannot be learned: its support \[low, low \+ width\]"
    with pytest.raises(tb.UsageError, match=message):
        FamilyPrior.learned(2, "uniform")


def test_objectives_refuse_posteriors_for_which_they_would_be_wrong():
    moving = Params(*tb.autoencoder(BINARY, posterior="uniform", **SIZES))
    for gradient in ("stl", "dreg", "dreg@2", "score_function", "vimco", "wake"):
        objective = tb.objectives.iwae(k=3, gradient=gradient)
        with pytest.raises(tb.UsageError) as error:
            objective.check(moving)
        assert str(error.value) == (
            f"the gradient {objective.gradient.name!r} takes the mean of d log q to be zero, which "
            "it need not be where the support of q moves with its parameters; use "
            "'reparameterized'"
        )
    for gradient in ("reparameterized", "single_sample"):
        tb.objectives.iwae(k=3, gradient=gradient).check(moving)
    with pytest.raises(
        tb.UsageError, match="got Conditional and StandardNormal; use estimator='A'"
    ):
        tb.objectives.elbo(estimator="B").check(moving)
    narrow = Params(*tb.autoencoder(BINARY, posterior="gamma", prior="laplace", **SIZES))
    with pytest.raises(tb.UsageError) as error:
        tb.objectives.wake_sleep().check(narrow)
    assert str(error.value) == (
        "wake_sleep(samples=1) takes log q(z|x) at draws of the prior: expected both on the same "
        "support, got positive for the posterior and real for the prior"
    )


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2])
def test_binary_latents_learn_without_a_path_through_the_draws(layers):
    parts = Params(*tb.autoencoder(BINARY, posterior="bernoulli", layers=layers, **SIZES))
    with pytest.raises(tb.UsageError, match="those of (Bernoulli|Layered) are discrete"):
        tb.objectives.iwae(k=3).check(parts)
    objective = tb.objectives.iwae(k=3, gradient="vimco")
    objective.check(parts)
    keys = jax.random.split(jax.random.key(2), len(BINARY))
    outcome = once.compiled(objective)(parts, jnp.asarray(BINARY), keys)
    assert np.all(np.isfinite(outcome.bound))
    for leaf in jax.tree.leaves(outcome.grads):
        assert np.all(np.isfinite(leaf))
        assert np.any(leaf != 0)
