"""Data with missing values: everything is that of the values that are there, by known truths.

The oracle is the linear-Gaussian model: what is observed has a normal marginal, and its posterior
is normal with a mean and covariance that depend on the mask.
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
from tightbound.core.items import Datum, Items
from tightbound.distributions import (
    AbstractExplicit,
    BernoulliComponents,
    Categorical,
    GaussianComponents,
    StandardNormal,
    from_functions,
)
from tightbound.likelihoods import Standardized
from tightbound.models import Model
from tightbound.models.posteriors import KINDS
from tightbound.networks import MLP, Fixed, Standardization, WithMask
from tightbound.objectives import Params
from tightbound.objectives.registry import all_objectives

NAN = np.float32(np.nan)
N = 12


def linear():
    model = oracle.one_layer_model()
    affine = oracle.read(model.likelihood)
    arrays = (affine.matrix, affine.offset, affine.variance)
    return model, oracle.MarginalPosterior(*(jnp.asarray(a, jnp.float32) for a in arrays)), affine


def holed(n=N, seed=0):
    """Data of the model with every kind of row: whole, partly missing, nothing known at all."""
    model, _, _ = linear()
    x, _ = jax.vmap(model.sample)(jax.random.split(jax.random.key(seed), n))
    rng = np.random.default_rng(seed)
    observed = rng.random((n, 4)) < 0.6
    observed[0], observed[1] = True, False
    return np.where(observed, np.asarray(x), NAN)


def truth(x):
    """Log-density in float64 of what is observed of each row, under the marginal normal."""
    _, _, affine = linear()
    cov = affine.matrix @ affine.matrix.T + np.diag(affine.variance)
    found = []
    for row in np.asarray(x, np.float64):
        known = ~np.isnan(row)
        if not known.any():
            found.append(0.0)
            continue
        block = cov[np.ix_(known, known)]
        normal = scipy.stats.multivariate_normal(affine.offset[known], block)
        found.append(normal.logpdf(row[known]))
    return np.array(found)


def items(x):
    return tb.source(linear()[0], x).items()


EXPLICIT = [
    name
    for name, entry in all_objectives().items()
    if name not in ("exact", "free_bits", "full_vb", "map_estimate", "mcem", "schedule")
    if entry.example().holes
    if entry.example().requires.posterior in (("samples", "density"), ())
]


@pytest.mark.parametrize("name", EXPLICIT)
def test_every_objective_is_the_marginal_at_the_exact_posterior(name):
    # All weights of a datum are then equal, to p(x_observed), whatever is drawn.
    model, posterior, _ = linear()
    x, parts = holed(), Params(model, posterior)
    objective = all_objectives()[name].example()
    keys = jax.random.split(jax.random.key(1), N)
    state = objective.init(parts, N, jax.random.key(2))
    bound = eqx.filter_jit(objective.bound)(parts, state, items(x), keys)
    np.testing.assert_allclose(bound, truth(x), atol=2e-4)
    step, _ = eqx.filter_jit(objective.step)(parts, state, items(x), keys)
    np.testing.assert_allclose(step.bound, truth(x), atol=2e-4)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(step.grads))


def test_the_model_s_gradient_is_that_of_the_marginal():
    # E_q grad log p(x, z) = grad log p(x_observed): 20,000 draws; 16 numbers, 9.6e-7 each.
    model, posterior, affine = linear()
    x = holed(4)
    data, objective, parts = items(x), tb.objectives.elbo(), Params(model, posterior)

    def marginal(offset):
        cov = affine.matrix @ affine.matrix.T + np.diag(affine.variance)
        cov = jnp.asarray(cov, jnp.float32)
        total = jnp.zeros([])
        for row in x:
            known = np.flatnonzero(~np.isnan(row))
            if len(known):
                block = cov[np.ix_(known, known)]
                total += jax.scipy.stats.multivariate_normal.logpdf(
                    jnp.asarray(row[known]), offset[known], block
                )
        return total / len(x)

    @jax.jit
    def gradients(key):
        keys = jax.random.split(key, 4)
        step, _ = objective.step(parts, None, data, keys)
        return -step.grads.model.likelihood.location.bias

    found = jax.lax.map(gradients, jax.random.split(jax.random.key(3), 20_000), batch_size=500)
    exact = jax.jit(jax.grad(marginal))(jnp.asarray(affine.offset, jnp.float32))
    assert np.abs(ztest.z_of_mean(found, exact)).max() < ztest.LIMIT


def test_every_estimator_gives_the_marginal():
    model, posterior, _ = linear()
    x = holed()
    exact = tb.evidence.exact(model, x)
    np.testing.assert_allclose(exact.log_evidence, truth(x), atol=1e-6)
    wide = tb.evidence.defensive(posterior, StandardNormal(2), share=0.5)
    found = tb.evaluate(model, wide, x, k=4000)
    z = (found.log_evidence - truth(x)) / np.maximum(found.stderr, 1e-5)
    assert np.abs(z).max() < ztest.LIMIT
    missing = int(np.isnan(x).sum())
    assert f"; {missing} of {x.size} values are missing)" in found.summary().splitlines()[0]
    jackknife = tb.evidence.jackknife(model, posterior, x, k=50)
    np.testing.assert_allclose(jackknife.log_evidence, truth(x), atol=2e-4)


@pytest.mark.slow
def test_adapted_proposals_give_the_marginal():
    x = holed()
    adapted = tb.evidence.adaptive(linear()[0], x)
    np.testing.assert_allclose(adapted.log_evidence, truth(x), atol=0.2)


def test_a_quadrature_over_z_gives_the_marginal():
    # The same density, which the closed form does not know again.
    model, _, _ = linear()
    likelihood = model.likelihood
    own = from_functions(
        log_prob=likelihood.log_prob,
        log_prob_each=likelihood.log_prob_each,
        sample=lambda z, key: likelihood.sample(z, key=key),
        dim=4,
    )
    x = holed(4)
    found = tb.evidence.exact(Model(StandardNormal(2), own), x, points=127)
    assert "quadrature" in found.method
    np.testing.assert_allclose(found.log_evidence, truth(x), atol=1e-5)


@pytest.mark.slow
def test_annealing_encloses_the_marginal_from_both_sides():
    model, posterior, _ = linear()
    x = holed()
    settings = {"temperatures": 60, "chains": 64}
    forward = tb.evidence.annealed(model, x, **settings)
    z = (forward.log_evidence - truth(x)) / np.maximum(forward.stderr, 0.02)
    assert np.abs(z).max() < ztest.LIMIT
    both = tb.sandwich(model, observed=~np.isnan(x), **settings)
    assert np.array_equal(np.isnan(both.x), np.isnan(x))
    exact = truth(both.x)
    for side in (both.lower, both.upper):
        z = (side.log_evidence - exact) / np.maximum(side.stderr, 0.02)
        assert np.abs(z).max() < ztest.LIMIT
    ends = tb.sandwich(model, posterior, observed=~np.isnan(x), temperatures=4, chains=4)
    np.testing.assert_allclose(ends.lower.log_evidence, truth(ends.x), atol=1e-3)
    np.testing.assert_allclose(ends.upper.log_evidence, truth(ends.x), atol=1e-3)


def test_units_are_as_active_as_what_is_observed_says():
    model, posterior, affine = linear()
    x = holed()
    means = []
    for row in np.asarray(x, np.float64):
        known = ~np.isnan(row)
        w, s2 = affine.matrix[known], affine.variance[known]
        precision = np.eye(2) + w.T @ (w / s2[:, None])
        means.append(np.linalg.solve(precision, w.T @ ((row - affine.offset)[known] / s2)))
    (found,) = tb.diagnostics.active_units(model, posterior, x)
    np.testing.assert_allclose(found.variance, np.var(means, axis=0, ddof=1), rtol=1e-4)


def test_components_have_the_marginals_of_their_densities():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(2, 4, 4))
    covariances = roots @ roots.transpose(0, 2, 1) + np.eye(4)
    means = rng.normal(size=(2, 4))
    weights = np.array([0.3, 0.7])
    likelihood = GaussianComponents.from_covariances(
        jnp.asarray(means, jnp.float32), jnp.asarray(covariances, jnp.float32)
    )
    model = Model(Categorical(jnp.log(jnp.asarray(weights, jnp.float32))), likelihood)
    x = holed(6)
    expected = []
    for row in np.asarray(x, np.float64):
        known = ~np.isnan(row)
        densities = [
            scipy.stats.multivariate_normal(m[known], c[np.ix_(known, known)]).pdf(row[known])
            if known.any()
            else 1.0
            for m, c in zip(means, covariances, strict=True)
        ]
        expected.append(np.log(weights @ np.array(densities)))
    np.testing.assert_allclose(tb.evidence.exact(model, x).log_evidence, expected, atol=1e-5)


def test_missing_pixels_are_summed_over():
    logits = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)), jnp.float32)
    model = Model(Categorical(jnp.zeros(3)), BernoulliComponents(logits))
    x = np.array([[1, NAN, 0, NAN], [NAN, NAN, 1, 1]], np.float32)
    found = tb.evidence.exact(model, x).log_evidence
    for row, log_p in zip(x, found, strict=True):
        whole = []
        for a in (0, 1):
            for b in (0, 1):
                filled = row.copy()
                filled[np.isnan(row)] = a, b
                whole.append(filled)
        each = tb.evidence.exact(model, np.array(whole)).log_evidence
        np.testing.assert_allclose(log_p, np.logaddexp.reduce(each), atol=1e-6)


def test_a_masked_fit_finds_what_is_likeliest_of_what_is_observed():
    # One product of Bernoullis: the mean of the values that are there, column by column.
    rng = np.random.default_rng(2)
    x = (rng.random((60, 4)) < [0.2, 0.4, 0.6, 0.8]).astype(np.float32)
    x[rng.random(x.shape) < 0.4] = NAN
    model = Model(Categorical(jnp.zeros(1)), BernoulliComponents(jnp.zeros((1, 4))))
    run = tb.fit(
        model,
        None,
        x,
        objective="exact",
        optimizer="adam(learning_rate=0.05)",
        batch_size=60,
        epochs=300,
    )
    found = jax.nn.sigmoid(run.model.likelihood.logits[0])
    np.testing.assert_allclose(found, np.nanmean(x, axis=0), atol=2e-3)


@pytest.mark.slow
def test_a_masked_fit_of_dependent_columns_is_that_of_em():
    # Maximum likelihood of a normal with missing values by EM (Little & Rubin 2019, section 11.2).
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(80, 3)) @ rng.normal(size=(3, 3))).astype(np.float32)
    x[rng.random(x.shape) < 0.3] = NAN
    x = x[~np.isnan(x).all(axis=1)]
    mean, cov = np.zeros(3), np.eye(3)
    for _ in range(500):
        filled, extra = [], np.zeros((3, 3))
        for row in np.asarray(x, np.float64):
            o, m = ~np.isnan(row), np.isnan(row)
            gain = cov[np.ix_(m, o)] @ np.linalg.inv(cov[np.ix_(o, o)])
            full = row.copy()
            full[m] = mean[m] + gain @ (row[o] - mean[o])
            extra[np.ix_(m, m)] += cov[np.ix_(m, m)] - gain @ cov[np.ix_(o, m)]
            filled.append(full)
        mean = np.mean(filled, axis=0)
        away = np.array(filled) - mean
        cov = (away.T @ away + extra) / len(x)
    likelihood = GaussianComponents.from_covariances(jnp.zeros((1, 3)), jnp.eye(3)[None])
    run = tb.fit(
        Model(Categorical(jnp.zeros(1)), likelihood),
        None,
        x,
        objective="exact",
        optimizer="adam(learning_rate=0.02)",
        batch_size=len(x),
        epochs=1500,
    )
    np.testing.assert_allclose(run.model.likelihood.means[0], mean, atol=5e-3)
    np.testing.assert_allclose(run.model.likelihood.covariances()[0], cov, rtol=0.02, atol=0.01)


@pytest.mark.parametrize(
    "options",
    [
        {"encoder": WithMask(MLP.glorot(12, (5,), key=jax.random.key(0)))},
        pytest.param({"layers": 2}, marks=pytest.mark.slow),
        pytest.param({"posterior": "semi_implicit"}, marks=pytest.mark.slow),
        pytest.param({"posterior": "gamma"}, marks=pytest.mark.slow),
    ],
    ids=["mask", "layers", "semi-implicit", "gamma"],
)
def test_an_autoencoder_learns_from_what_is_there_and_reads_the_mask_where_it_wants(options):
    rng = np.random.default_rng(4)
    x = (rng.random((40, 6)) < 0.5).astype(np.float32)
    x[rng.random(x.shape) < 0.3] = NAN
    model, posterior = tb.autoencoder(x, latent=2, hidden=(4,), **options)
    objective = "sivi(k=2)" if options.get("posterior") == "semi_implicit" else "iwae(k=3)"
    run = tb.fit(model, posterior, x, objective=objective, batch_size=10, epochs=2)
    assert np.isfinite(run.history[-1].train_bound).all()
    found = tb.evaluate(run.model, run.posterior, x, k=20)
    assert np.isfinite(found.log_evidence).all()


def test_with_nothing_missing_nothing_changes():
    x = np.random.default_rng(5).random((8, 4)).astype(np.float32)
    plain = items(x)
    assert plain.data is plain.x
    assert plain[2:] == (None, None, None, None)


def test_a_mask_without_holes_is_worth_what_no_mask_is():
    model, posterior, _ = linear()
    x = np.asarray(holed(), np.float32)
    x = np.where(np.isnan(x), np.float32(0.5), x)
    keys = jax.random.split(jax.random.key(1), N)
    objective, parts = tb.objectives.iwae(k=5), Params(model, posterior)
    masked = Items(jnp.asarray(x), jnp.arange(N), jnp.ones(x.shape, bool))
    bound = eqx.filter_jit(lambda of: objective.bound(parts, None, of, keys))
    bounds = [bound(of) for of in (masked, Items.of(masked.x))]
    np.testing.assert_allclose(*bounds, rtol=1e-6)


SHIFT, SCALE = np.float32([1000.0, -3.0, 0.0, 20.0]), np.float32([50.0, 1e-3, 1.0, 7.0])


def in_units():
    """The linear-Gaussian model for data in other units."""
    plain, _, _ = linear()
    units = Standardization(Fixed.of(SHIFT), Fixed.of(SCALE))
    return Model(plain.prior, Standardized(plain.likelihood, units)), units


def test_the_marginal_of_data_in_their_own_units_has_their_jacobian_alone():
    model, _ = in_units()
    x = holed().astype(np.float64)
    away = np.where(np.isnan(x), 0.0, np.log(SCALE)[None]).sum(axis=1)
    found = tb.evidence.exact(model, SHIFT + SCALE * x)
    np.testing.assert_allclose(found.log_evidence, truth(x) - away, atol=1e-2)
    own = Model(model.prior, Standardized(Plain(model.likelihood.likelihood), in_units()[1]))
    quadrature = tb.evidence.exact(own, SHIFT + SCALE * x[:4], points=127)
    assert "quadrature" in quadrature.method
    np.testing.assert_allclose(quadrature.log_evidence, found.log_evidence[:4], atol=1e-4)


class Plain(AbstractExplicit):
    """A likelihood that no closed form knows again."""

    inner: AbstractExplicit

    @property
    def support(self):
        return "real"

    def sample(self, given, *, key):
        return self.inner.sample(given, key=key)

    def log_prob(self, value, given):
        return self.inner.log_prob(value, given)

    def log_prob_each(self, value, given):
        return self.inner.log_prob_each(value, given)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_value_is_seen_as_its_column_s_mean(kind):
    model, _ = in_units()
    q = tb.posterior(model, kind, hidden=(3,))
    x = SHIFT + SCALE * np.float32([0.3, -1.0, 0.7, 0.2])
    observed = np.array([True, False, True, False])
    missing = Datum(jnp.where(observed, x, 0.0), jnp.asarray(observed))
    filled = jnp.where(observed, x, SHIFT)
    sample = jax.jit(lambda given, key: q.sample(given, key=key))
    for seed in range(3):
        drawn = [sample(given, jax.random.key(seed)) for given in (missing, filled)]
        np.testing.assert_allclose(*drawn, rtol=1e-5, atol=1e-6)


class Fragile(StandardNormal):
    """A posterior that takes what it is given for an array."""

    def sample(self, given=None, *, key):
        return super().sample(None, key=key) + given.sum()


def test_what_does_not_take_missing_values_says_so():
    model, posterior, _ = linear()
    x = holed()
    fit = {"batch_size": 4, "epochs": 1}
    with pytest.raises(UsageError, match=r"missing values \(NaN\), which pc_adv.* does not take"):
        tb.fit(model, posterior, x, objective="pc_adv", **fit)
    with pytest.raises(UsageError, match=r"Fragile fails with them: expected a posterior that"):
        tb.fit(model, Fragile(2), x, objective="elbo", **fit)
    own = Model(
        StandardNormal(2),
        from_functions(
            log_prob=lambda x, z: -jnp.sum((x - z[0]) ** 2),
            sample=lambda z, key: jnp.zeros(4),
            dim=4,
        ),
    )
    for refused in (
        lambda: tb.fit(own, posterior, x, objective="elbo", **fit),
        lambda: tb.evaluate(own, posterior, x),
    ):
        with pytest.raises(UsageError, match="pass log_prob_each= to"):
            refused()
    empty = x.copy()
    empty[:, 2] = NAN
    with pytest.raises(UsageError, match=r"column 2 \(counted from 0\) has no value at all"):
        tb.autoencoder(empty, likelihood="gaussian")
    with pytest.raises(UsageError, match=r"expected observed as booleans of shape \(n, 4\)"):
        tb.sandwich(model, observed=np.ones((3, 4)))
