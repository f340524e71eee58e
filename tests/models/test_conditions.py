"""Models with a condition: everything is that of p(x|c), by a linear-Gaussian model.

x = W z + B c + b + e is, for each c, the linear-Gaussian model of x - B c: its evidence and its
posterior are known, and what maximises them is near the least squares of x on c.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from tests import ztest
from tests.oracles import linear_gaussian as oracle

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, Given, having
from tightbound.distributions import (
    AbstractExplicit,
    DiagonalNormal,
    StandardNormal,
    from_functions,
)
from tightbound.models import Model
from tightbound.networks import MLP, AbstractReader, Dense, Whole, WithCondition, WithMask
from tightbound.objectives import Params
from tightbound.objectives.registry import all_objectives

N = 10
EFFECT = np.float32([[0.5, -1.0, 0.0, 2.0], [1.5, 0.3, -0.7, 0.0], [0.0, 0.8, 1.1, -1.2]])
"""B', of shape (c, d)."""


class ForCondition(AbstractExplicit):
    """The posterior of x - B c."""

    inner: oracle.MarginalPosterior

    @property
    def support(self):
        return "real"

    def less(self, given):
        return Datum(given.x - given.condition @ EFFECT, given.observed)

    def sample(self, given, *, key):
        return self.inner.sample(self.less(given), key=key)

    def log_prob(self, value, given):
        return self.inner.log_prob(value, self.less(given))

    def mean(self, given):
        return self.inner.mean(self.less(given))


def linear(effect=EFFECT):
    """The model on networks, and its exact posterior."""
    plain = oracle.one_layer_model().likelihood
    weight = jnp.concatenate([plain.location.weight, jnp.asarray(effect)])
    likelihood = DiagonalNormal(
        WithCondition(MLP((), "tanh")),
        Dense(weight, plain.location.bias),
        Dense(jnp.zeros_like(weight), plain.log_scale.bias),
    )
    arrays = [jnp.asarray(a, jnp.float32) for a in oracle.read(plain)]
    posterior = ForCondition(oracle.MarginalPosterior(*arrays))
    return Model(StandardNormal(2), likelihood, condition=3), posterior


def drawn(n=N, *, holes=False, seed=0):
    """Data, their conditions, and the mask."""
    rng = np.random.default_rng(seed)
    c = rng.normal(size=(n, 3)).astype(np.float32)
    x, _ = jax.vmap(linear()[0].sample)(jax.random.split(jax.random.key(seed), n), jnp.asarray(c))
    x = np.array(x)
    if holes:
        x[rng.random(x.shape) < 0.4] = np.nan
        x[0] = np.nan
    return x, c


def truth(x, c):
    """Log-density of what is observed of each row, in float64."""
    affine = oracle.read(oracle.one_layer_model().likelihood)
    cov = affine.matrix @ affine.matrix.T + np.diag(affine.variance)
    found = []
    for row, mean in zip(np.float64(x), affine.offset + np.float64(c) @ EFFECT, strict=True):
        known = ~np.isnan(row)
        normal = known.any() and scipy.stats.multivariate_normal(
            mean[known], cov[np.ix_(known, known)]
        )
        found.append(normal.logpdf(row[known]) if known.any() else 0.0)
    return np.array(found)


EXPLICIT = [
    name
    for name, entry in all_objectives().items()
    if name not in ("exact", "free_bits", "full_vb", "map_estimate", "mcem", "schedule")
    if entry.example().holes
    if entry.example().requires.posterior in (("samples", "density"), ())
]


@pytest.mark.parametrize("holes", [False, True], ids=["whole", "with holes"])
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "iwae" else pytest.mark.slow) for n in EXPLICIT],
)
def test_every_objective_is_log_p_of_x_given_c_at_the_exact_posterior(name, holes):
    model, posterior = linear()
    x, c = drawn(holes=holes)
    parts, items = Params(model, posterior), tb.source(model, x, conditions=c).items()
    objective, keys = all_objectives()[name].example(), jax.random.split(jax.random.key(1), N)
    state = objective.init(parts, N, jax.random.key(2))
    step, _ = eqx.filter_jit(objective.step)(parts, state, items, keys)
    np.testing.assert_allclose(step.bound, truth(x, c), atol=2e-4)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(step.grads))


@pytest.mark.parametrize(
    "holes",
    [pytest.param(False, marks=pytest.mark.slow), True],
    ids=["whole", "with holes"],
)
def test_every_estimator_gives_the_evidence_for_the_condition(holes):
    model, posterior = linear()
    x, c = drawn(holes=holes)
    data = tb.source(model, x, conditions=c)
    found = tb.evaluate(model, posterior, data, k=20, batch_size=4)
    np.testing.assert_allclose(found.log_evidence, truth(x, c), atol=2e-4)
    wide = tb.evidence.defensive(posterior, StandardNormal(2), share=0.5)
    found = tb.evaluate(model, wide, data, k=2000)
    z = (found.log_evidence - truth(x, c)) / np.maximum(found.stderr, 1e-5)
    assert np.abs(z).max() < ztest.LIMIT
    jackknife = tb.evidence.jackknife(model, posterior, data, k=20)
    np.testing.assert_allclose(jackknife.log_evidence, truth(x, c), atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("holes", [False, True], ids=["whole", "with holes"])
def test_annealing_gives_the_evidence_for_the_condition(holes):
    model, _ = linear()
    x, c = drawn(holes=holes)
    data = tb.source(model, x, conditions=c)
    forward = tb.evaluate(model, None, data, by=tb.evidence.AIS(temperatures=60, chains=64))
    z = (forward.log_evidence - truth(x, c)) / np.maximum(forward.stderr, 0.02)
    assert np.abs(z).max() < ztest.LIMIT


def test_a_quadrature_over_z_gives_the_evidence_for_the_condition():
    model, _ = linear()
    x, c = drawn(4, holes=True)
    found = tb.evidence.exact(model, tb.source(model, x, conditions=c), points=127)
    assert "quadrature" in found.method
    np.testing.assert_allclose(found.log_evidence, truth(x, c), atol=1e-5)


@pytest.mark.slow
def test_adapted_proposals_give_the_evidence_for_the_condition():
    model, _ = linear()
    x, c = drawn(holes=True)
    found = tb.evidence.adaptive(model, tb.source(model, x, conditions=c))
    np.testing.assert_allclose(found.log_evidence, truth(x, c), atol=0.2)


@pytest.mark.slow
def test_annealing_encloses_the_evidence_for_the_condition():
    model, posterior = linear()
    x, c = drawn(holes=True)
    both = tb.sandwich(model, observed=~np.isnan(x), conditions=c, temperatures=60, chains=64)
    for side in (both.lower, both.upper):
        z = (side.log_evidence - truth(both.x, c)) / np.maximum(side.stderr, 0.02)
        assert np.abs(z).max() < ztest.LIMIT
    ends = tb.sandwich(model, posterior, conditions=c, temperatures=4, chains=4)
    for side in (ends.lower, ends.upper):
        np.testing.assert_allclose(side.log_evidence, truth(ends.x, c), atol=1e-3)


def test_units_are_those_of_each_datum_s_own_condition():
    model, posterior = linear()
    x, c = drawn()
    (found,) = tb.diagnostics.active_units(model, posterior, tb.source(model, x, conditions=c))
    plain = posterior.inner
    means = jax.vmap(plain.mean)(jnp.asarray(x - c @ EFFECT))
    np.testing.assert_allclose(found.variance, np.var(means, axis=0, ddof=1), rtol=1e-4)


def test_a_fit_finds_the_effect_of_the_condition():
    # Without a factor, maximum likelihood of B and b is the regression of x on c.
    x, c = drawn(200)
    own = Effect(jnp.zeros((3, 4)), jnp.zeros(4), jnp.zeros(4))
    model = Model(StandardNormal(1), own, condition=3)
    run = tb.fit(
        model,
        NoEncoder(1),
        tb.source(model, x, conditions=c),
        objective="elbo",
        optimizer="adam(learning_rate=0.03)",
        batch_size=200,
        epochs=400,
    )
    design = np.concatenate([np.ones((200, 1)), c], axis=1)
    expected = np.linalg.lstsq(design, x, rcond=None)[0]
    np.testing.assert_allclose(run.model.likelihood.effect, expected[1:], atol=2e-3)
    np.testing.assert_allclose(run.model.likelihood.offset, expected[0], atol=2e-3)


class Effect(AbstractExplicit):
    """N(B c + b, diag(s^2)), whatever z is."""

    effect: jax.Array
    offset: jax.Array
    log_scale: jax.Array

    @property
    def support(self):
        return "real"

    def mean(self, given):
        return given.condition @ self.effect + self.offset

    def log_prob(self, value, given):
        logpdf = jax.scipy.stats.norm.logpdf
        return jnp.sum(logpdf(value, self.mean(given), jnp.exp(self.log_scale)))


class NoEncoder(StandardNormal):
    """q(z|x) that ignores what it is given."""


@pytest.mark.slow
def test_a_prior_may_have_the_condition():
    # z ~ N(A c, I) and x = W z + b + e: the effect of c on x is W A c.
    plain = oracle.one_layer_model()
    a = np.float32([[1.0, 0.0, -0.5], [0.2, 0.7, 0.0]])
    prior = oracle.affine_normal(a, np.zeros(2), np.ones(2))
    likelihood = eqx.tree_at(lambda p: p.trunk, plain.likelihood, ZAlone())
    model = Model(prior, likelihood, condition=3)
    c = np.random.default_rng(3).normal(size=(5, 3)).astype(np.float32)
    x, _ = jax.vmap(model.sample)(jax.random.split(jax.random.key(0), 5), jnp.asarray(c))
    affine = oracle.read(plain.likelihood)
    cov = affine.matrix @ affine.matrix.T + np.diag(affine.variance)
    away = np.float64(x) - affine.offset - np.float64(c) @ (affine.matrix @ a).T
    data = tb.source(model, x, conditions=c)
    exact = tb.evidence.exact(model, data, points=127)
    np.testing.assert_allclose(exact.log_evidence, oracle.log_normal(away, cov), atol=1e-5)
    both = tb.sandwich(model, conditions=c, temperatures=60, chains=64)
    log_p = tb.evidence.exact(model, tb.source(model, both.x, conditions=c), points=127)
    for side in (both.lower, both.upper):
        z = (side.log_evidence - log_p.log_evidence) / np.maximum(side.stderr, 0.02)
        assert np.abs(z).max() < ztest.LIMIT
    proposal = tb.evidence.defensive(NoEncoder(2), prior, share=0.9)
    found = tb.evaluate(model, proposal, data, k=4000)
    z = (found.log_evidence - exact.log_evidence) / np.maximum(found.stderr, 1e-5)
    assert np.abs(z).max() < ztest.LIMIT


class ZAlone(AbstractReader):
    """Sees z and not the condition."""

    def __call__(self, given):
        return given.z


def test_functions_are_given_pairs():
    model, posterior = linear()
    x, c = drawn()
    likelihood = model.likelihood
    own = Model(
        model.prior,
        from_functions(
            log_prob=lambda x, given: likelihood.log_prob(x, Given(*given)),
            sample=lambda given, key: likelihood.sample(Given(*given), key=key),
            dim=4,
        ),
        condition=3,
    )
    q = from_functions(
        log_prob=lambda z, given: posterior.log_prob(z, Datum(given[0], condition=given[1])),
        sample=lambda given, key: posterior.sample(Datum(given[0], condition=given[1]), key=key),
    )
    found = tb.evaluate(own, q, tb.source(own, x, conditions=c), k=5)
    np.testing.assert_allclose(found.log_evidence, truth(x, c), atol=2e-4)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"layers": 2, "likelihood": "gaussian"}, marks=pytest.mark.slow),
        {"encoder": WithMask(WithCondition(MLP.glorot(10, (5,), key=jax.random.key(0))))},
        pytest.param({"posterior": "semi_implicit"}, marks=pytest.mark.slow),
        pytest.param({"posterior": "gamma"}, marks=pytest.mark.slow),
    ],
    ids=["plain", "layers", "mask", "semi-implicit", "gamma"],
)
def test_an_autoencoder_s_parts_see_the_condition(options):
    rng = np.random.default_rng(4)
    x = (rng.random((20, 4)) < 0.5).astype(np.float32)
    x[rng.random(x.shape) < 0.2] = np.nan
    c = rng.normal(size=(20, 2)).astype(np.float32)
    model, posterior = tb.autoencoder(x, latent=2, hidden=(4,), condition=2, **options)
    data = tb.source(model, x, conditions=c)
    objective = "sivi(k=2)" if options.get("posterior") == "semi_implicit" else "iwae(k=3)"
    run = tb.fit(model, posterior, data, objective=objective, batch_size=10, epochs=1)
    assert np.isfinite(run.history[-1].train_bound).all()
    z = jax.tree.map(jnp.ones_like, model.prior.sample(None, key=jax.random.key(0)))
    means = [model.likelihood.mean(having(z, jnp.full(2, at))) for at in (0.0, 1.0)]
    assert not np.allclose(*means)
    keys = jax.random.key(0)
    seen = [posterior.sample(Datum(jnp.ones(4), condition=jnp.full(2, at)), key=keys)
            for at in (0.0, 1.0)]  # fmt: skip
    assert not np.allclose(*(jax.tree.leaves(z)[0] for z in seen))


def test_a_condition_is_the_same_where_it_goes_through_a_file(tmp_path):
    x, c = drawn()
    model, posterior = tb.autoencoder(x, latent=1, hidden=(2,), likelihood="gaussian", condition=3)
    data = tb.source(model, x, conditions=c)
    run = tb.fit(model, posterior, data, objective="elbo", batch_size=5, epochs=1)
    tb.save(tmp_path / "run.safetensors", run)
    loaded = tb.load(tmp_path / "run.safetensors")
    assert loaded.model.condition == 3
    found = [tb.evaluate(r.model, r.posterior, data, k=3).log_evidence for r in (run, loaded)]
    np.testing.assert_array_equal(*found)


def test_what_takes_no_condition_says_so_and_what_takes_one_asks_for_it():
    x, c = drawn()
    model, posterior = linear()
    without = oracle.one_layer_model()
    fit = {"batch_size": 5, "epochs": 1}
    for refused, words in (
        (lambda: tb.source(without, x, conditions=c), r"takes none, got .*\(10, 3\): expected Mod"),
        (lambda: tb.evaluate(model, posterior, x), r"condition of 3 numbers .* there are none"),
        (lambda: tb.fit(model, posterior, x, objective="elbo", **fit), "there are none"),
        (lambda: tb.sandwich(model), "there are none"),
        (lambda: tb.source(model, x, conditions=c[:, :2]), r"shape \(10, 3\), .* got \(10, 2\)"),
        (lambda: tb.source(model, x, conditions=c[:9]), r"shape \(10, 3\), .* got \(9, 3\)"),
        (lambda: tb.source(model, x, conditions=[["a"] * 3] * 10), "the conditions: expected real"),
        (
            lambda: tb.source(model, x, conditions=np.where(c == c[4, 1], np.nan, c)),
            r"the conditions: row 4, column 1 .* is nan.*missing values",
        ),
        (
            lambda: tb.evaluate(without, posterior, tb.source(model, x, conditions=c)),
            "source was made",
        ),
    ):
        with pytest.raises(UsageError, match=words):
            refused()
    data = tb.source(model, x, conditions=c)
    blind = Model(model.prior, without.likelihood, condition=3)
    with pytest.raises(UsageError, match="has a condition, which MLP does not read"):
        tb.evaluate(blind, posterior, data)
    with pytest.raises(UsageError, match="has a condition, which MLP does not read"):
        tb.fit(model, oracle.exact_posterior(without), data, objective="elbo", **fit)
    with pytest.raises(UsageError, match="data have conditions, which pc_adv.* does not take"):
        tb.fit(model, tb.posterior(model), data, objective="pc_adv", **fit)
    with pytest.raises(UsageError, match="a network reads a condition, and there is none"):
        model.log_joint(jnp.zeros(4), jnp.zeros(2))
    shaped = Whole(MLP.glorot(2, (8,), key=jax.random.key(0)))
    with pytest.raises(UsageError, match="has a condition, which MLP does not read"):
        tb.autoencoder(x, latent=2, likelihood="gaussian", decoder=shaped, condition=3)
