"""Posteriors that reach: full covariances, flows, mixtures, whitening by a first fit."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.oracles import linear_gaussian

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, Items
from tightbound.distributions import StandardNormal
from tightbound.distributions.components import fresh_noise, log_components, log_mean_exp
from tightbound.distributions.full_normal import affine
from tightbound.networks import Fixed
from tightbound.objectives import Params

PLANE = tb.Target(lambda z: -0.5 * jnp.sum(z**2) - jnp.log(2 * jnp.pi), 2, prior=StandardNormal(2))
X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
SMALL = {"hidden": (3,), "noise": 2}
KINDS = {
    "full_covariance": {},
    "flow": {},
    "mixture": {"components": 3},
    "semi_implicit": {"layer": "full_covariance"},
}
EXPLICIT = ("full_covariance", "flow", "mixture")


@functools.cache
def parts(with_data):
    model = linear_gaussian.one_layer_model() if with_data else PLANE
    return model, tb.posterior(model, "full_covariance", **SMALL)


def moved(posterior, seed=0, by=0.3):
    """The same posterior with all that is trained moved at random."""
    leaves, structure = jax.tree.flatten(eqx.filter(posterior, eqx.is_inexact_array))
    rng = np.random.default_rng(seed)
    new = [leaf + by * rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves]
    return eqx.combine(jax.tree.unflatten(structure, new), posterior)


def made(kind, *, whitened, with_data):
    model, first = parts(with_data)
    if whitened and kind == "full_covariance":
        return None
    base = {"whitened": moved(first, 1)} if whitened else {}
    return moved(tb.posterior(model, kind, **SMALL, **KINDS.get(kind, {}), **base))


every = pytest.mark.parametrize(
    ("kind", "whitened"),
    [(kind, w) for kind in EXPLICIT for w in (False, True) if not (w and kind == EXPLICIT[0])],
)


@pytest.mark.slow
@every
def test_densities_integrate_to_one_and_are_those_of_the_draws(kind, whitened):
    with_data = not whitened
    q = made(kind, whitened=whitened, with_data=with_data)
    x = jnp.asarray(X[0]) if with_data else jnp.zeros(0)
    edge = np.linspace(-14, 14, 561)
    grid = jnp.asarray(np.stack(np.meshgrid(edge, edge), -1).reshape(-1, 2), jnp.float32)
    mass = np.exp(np.asarray(jax.jit(jax.vmap(lambda z: q.log_prob(z, x)))(grid), np.float64))
    mass *= (edge[1] - edge[0]) ** 2
    assert mass.sum() == pytest.approx(1, abs=2e-3)
    keys = jax.random.split(jax.random.key(0), 20_000)
    z, log_q = jax.jit(jax.vmap(lambda key: q.sample_and_log_prob(x, key=key)))(keys)
    again = jax.jit(jax.vmap(lambda z: q.log_prob(z, x)))(z)
    np.testing.assert_allclose(log_q, again, atol=2e-3)
    for moment in (lambda z: z[:, 0], lambda z: z[:, 0] * z[:, 1], lambda z: jnp.sin(z[:, 1])):
        found, exact = np.asarray(moment(z), np.float64), np.asarray(moment(grid)) @ mass
        error = found.std() / np.sqrt(len(found)) + 2e-3 * np.abs(found).mean()
        assert abs(found.mean() - exact) < 4.5 * error


@pytest.mark.parametrize("layer", ["normal", "full_covariance"])
@pytest.mark.parametrize("whitened", [False, True])
def test_the_density_of_an_explicit_layer_is_that_of_its_draws(layer, whitened):
    model, first = parts(True)
    base = moved(first, 1) if whitened else None
    q = moved(tb.posterior(model, "semi_implicit", layer=layer, whitened=base, **SMALL))
    x, key = jnp.asarray(X[0]), jax.random.key(3)
    noise = fresh_noise(q, x, key, 30)
    # Its mean over draws of exp(log r - log q), with r a wide normal, is 1.
    keys = jax.random.split(key, 20_000)
    one = jax.tree.map(lambda leaf: leaf[0], noise)
    z = jax.jit(jax.vmap(lambda key: q.sample_given(one, x, key=key)))(keys)
    log_q = jax.jit(jax.vmap(lambda z: q.log_prob_given(z, one, x)))(z)
    mean, spread = jnp.mean(z, axis=0), 0.7 * jnp.std(z, axis=0)
    log_r = jnp.sum(jax.scipy.stats.norm.logpdf(z, mean[None], spread[None]), axis=1)
    weight = np.exp(np.asarray(log_r - log_q, np.float64))
    assert abs(weight.mean() - 1) < 4.5 * weight.std() / np.sqrt(len(weight)) + 1e-3
    assert np.isfinite(log_mean_exp(log_components(q, z[0], noise, x)))


def test_an_implicit_posterior_is_whitened_too():
    model, first = parts(True)
    base = moved(first, 1)
    plain = tb.posterior(model, "implicit", **SMALL)
    whitened = tb.posterior(model, "implicit", whitened=base, **SMALL)
    noise, x = jnp.array([0.3, -1.0]), jnp.asarray(X[0])
    shift, factor, _ = affine(base, x)
    np.testing.assert_allclose(
        whitened.push(noise, x), shift + factor @ plain.push(noise, x), rtol=1e-5
    )


def test_what_whitens_stays_as_it_is():
    model, first = parts(True)
    q = tb.posterior(model, "semi_implicit", whitened=moved(first, 1), **SMALL)
    run = tb.fit(model, q, X, objective=tb.objectives.sivi(2), batch_size=4, epochs=2)
    is_fixed = lambda node: isinstance(node, Fixed)  # noqa: E731
    bits = [
        [leaf.bits for leaf in jax.tree.leaves(tree, is_fixed) if is_fixed(leaf)]
        for tree in (q, run.posterior)
    ]
    assert len(bits[0]) > 4
    jax.tree.map(np.testing.assert_array_equal, *bits)


@pytest.mark.parametrize(
    "kind",
    [
        "full_covariance",
        "mixture",
        "implicit",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("flow", "semi_implicit")),
    ],
)
@pytest.mark.parametrize("with_data", [pytest.param(False, marks=pytest.mark.slow), True])
def test_every_kind_comes_back_from_a_file(kind, with_data, tmp_path):
    model, first = parts(with_data)
    base = {} if kind == "full_covariance" else {"whitened": first}
    q = tb.posterior(model, kind, **SMALL, **KINDS.get(kind, {}), **base)
    objective = {
        "mixture": tb.objectives.stratified(2),
        "semi_implicit": tb.objectives.sivi(2),
        "implicit": tb.objectives.pc_adv(hidden=(2,), inner=1),
    }.get(kind, tb.objectives.elbo(samples=2, gradient="stl"))
    x = (X,) if with_data else ()
    length = {"epochs": 1} if with_data else {"steps": 2}
    run = tb.fit(model, q, *x, objective=objective, batch_size=2, **length)
    tb.save(tmp_path / "run.safetensors", run)
    # A density of one's own is in no file.
    like = {} if with_data else {"like": (model, q)}
    loaded = tb.load(tmp_path / "run.safetensors", **like)
    jax.tree.map(np.testing.assert_array_equal, loaded.posterior, run.posterior)
    if kind != "implicit":
        estimate = tb.evaluate(model, loaded.posterior, *x, k=20)
        assert np.all(np.isfinite(estimate.log_evidence))
    assert np.all(np.isfinite(tb.draws(model, loaded.posterior, *x, n=3)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["flow", "mixture", "semi_implicit"])
def test_whitened_posteriors_take_conditions_and_holes(kind):
    rng = np.random.default_rng(0)
    x, beside = 3 + 5 * rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
    x[0, 1] = x[3, 0] = x[3, 2] = np.nan
    model, _ = tb.autoencoder(
        np.nan_to_num(x, nan=3.0), latent=2, hidden=(4,), likelihood="gaussian", condition=2
    )
    data = tb.source(model, x, conditions=beside)
    first = moved(tb.posterior(model, "full_covariance", hidden=(3,)), 1)
    q = tb.posterior(model, kind, **SMALL, **KINDS[kind], whitened=first)
    objective = {"mixture": "stratified", "semi_implicit": "sivi(k=3)"}.get(kind, "elbo")
    run = tb.fit(model, q, data, objective=objective, batch_size=10, epochs=1)
    assert np.all(np.isfinite(tb.evaluate(run.model, run.posterior, data, k=20).log_evidence))
    one = Datum(jnp.zeros(4), jnp.array([True, False, True, True]), jnp.array([0.5, -1.0]))
    other = one._replace(condition=jnp.array([0.5, 2.0]))
    key = jax.random.key(0)
    z = run.posterior.sample(one, key=key)
    assert np.max(np.abs(z - run.posterior.sample(other, key=key))) > 1e-3
    if kind == "flow":
        both = run.posterior.sample_and_log_prob(one, key=key)[1], run.posterior.log_prob(z, one)
        np.testing.assert_allclose(*both, atol=1e-3)


def test_a_full_covariance_is_found():
    covariance = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, -0.2], [0.0, -0.2, 0.3]])
    precision = jnp.asarray(np.linalg.inv(covariance), jnp.float32)
    target = tb.Target(lambda z: -0.5 * (z - 1) @ precision @ (z - 1), 3)
    steps = 1500
    run = tb.fit(
        target,
        tb.posterior(target, "full_covariance"),
        objective=tb.objectives.elbo(samples=8, gradient="stl"),
        steps=steps,
        batch_size=1,
        optimizer=optax.adam(optax.cosine_decay_schedule(0.1, steps)),
    )
    mean, factor, _ = affine(run.posterior, jnp.zeros(0))
    np.testing.assert_allclose(mean, np.ones(3), atol=0.01)
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=0.01)
    # The weights are then constant, and the evidence is exact.
    exact = 0.5 * (3 * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1])
    assert tb.evaluate(target, run.posterior, k=500).mean == pytest.approx(exact, abs=2e-3)


def regression():
    """A linear regression on correlated columns of many units: its density, and truths of it."""
    d, n = 22, 60
    rng = np.random.default_rng(0)
    columns = 0.5 * rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * np.exp(rng.normal(size=d))
    y = columns @ rng.normal(size=d) + rng.normal(size=n)
    covariance = np.linalg.inv(columns.T @ columns + np.eye(d))
    marginal = np.eye(n) + columns @ columns.T
    evidence = -0.5 * (
        n * np.log(2 * np.pi) + np.linalg.slogdet(marginal)[1] + y @ np.linalg.solve(marginal, y)
    )
    columns, y = jnp.asarray(columns, jnp.float32), jnp.asarray(y, jnp.float32)
    constant = 0.5 * (n + d) * np.log(2 * np.pi).astype(np.float32)
    target = tb.Target(
        lambda b: -0.5 * (jnp.sum((y - columns @ b) ** 2) + jnp.sum(b**2)) - constant, d
    )
    return target, np.sqrt(np.diag(covariance)), evidence


def fitted(target, q, objective, rate, steps=2000):
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps), b2=0.95)
    settings = {"steps": steps, "batch_size": 1, "optimizer": optimizer}
    return tb.fit(target, q, objective=objective, **settings).posterior


@pytest.mark.slow
def test_whitening_by_a_first_fit_gives_every_standard_deviation():
    target, deviation, evidence = regression()
    q = tb.posterior(target, "full_covariance")
    first = fitted(target, q, tb.objectives.elbo(samples=16, gradient="stl"), 0.1)
    factor = np.asarray(affine(first, jnp.zeros(0))[1], np.float64)
    found = np.sqrt(np.sum(factor**2, axis=1))
    np.testing.assert_allclose(found, deviation, rtol=0.02)
    within = {}
    for whitened in (None, first):
        q = tb.posterior(target, "semi_implicit", whitened=whitened)
        q = fitted(target, q, tb.objectives.sivi(50, samples=20), 1e-3)
        spread = np.std(np.asarray(tb.draws(target, q, n=20_000)).reshape(-1, 22), axis=0)
        off = np.abs(spread / deviation - 1)
        within[whitened is None] = np.sum(off < 0.1), np.max(off)
        if whitened is not None:
            # Of a target that is a normal the whitened layer is the posterior itself, nearly.
            estimate = tb.evaluate(target, q, k=5000)
            assert abs(estimate.mean - evidence) < 0.02
    assert within[False][1] < 0.03
    assert within[True][0] < 11, "without whitening most deviations are off by more than 10 %"


def bimodal(z):
    """0.8 N(-2, 0.5^2) + 0.2 N(3, 1)."""
    each = jax.scipy.stats.norm.logpdf(z[0], jnp.array([-2.0, 3.0]), jnp.array([0.5, 1.0]))
    return jax.nn.logsumexp(each + jnp.log(jnp.array([0.8, 0.2])))


BIMODAL = tb.Target(bimodal, 1)


def mixture(components=2):
    return tb.posterior(BIMODAL, "mixture", components=components)


def exact_parts():
    """The target itself as a mixture."""
    q = mixture()
    biases = (jnp.log(jnp.array([0.8, 0.2])), jnp.array([-2.0, 3.0]), jnp.log(jnp.array([0.5, 1])))
    where = lambda q: (q.share.bias, q.location.bias, q.log_scale.bias)  # noqa: E731
    return Params(BIMODAL, eqx.tree_at(where, q, biases))


@pytest.mark.slow
def test_stratified_gradients_are_those_of_the_exact_elbo():
    q = moved(mixture(), 5)
    edge = jnp.linspace(-12, 12, 4001)[:, None]

    def elbo(q):
        log_q = jax.vmap(lambda z: q.log_prob(z, jnp.zeros(0)))(edge)
        log_p = jax.vmap(bimodal)(edge)
        return jnp.sum(jnp.exp(log_q) * (log_p - log_q)) * (edge[1, 0] - edge[0, 0])

    value, exact = eqx.filter_value_and_grad(elbo)(q)
    objective = tb.objectives.stratified(1)
    n = 40_000
    keys = jax.random.split(jax.random.key(0), (n, 1))
    items = Items(jnp.zeros((1, 0)), jnp.zeros(1, jnp.int32))

    def one(keys):
        step, _ = objective.step(Params(BIMODAL, q), None, items, keys)
        return step.grads.posterior, step.bound[0]

    grads, bounds = eqx.filter_jit(jax.vmap(one))(keys)
    bounds = np.asarray(bounds, np.float64)
    assert abs(bounds.mean() - value) < 4.5 * bounds.std() / np.sqrt(n) + 1e-4
    for found, truth in zip(jax.tree.leaves(grads), jax.tree.leaves(exact), strict=True):
        found = -np.asarray(found, np.float64)
        error = found.std(axis=0) / np.sqrt(n)
        assert np.all(np.abs(found.mean(axis=0) - truth) < 4.9 * error + 1e-4)
        if found.size and found.shape[1:] == (2,):
            assert np.any(np.abs(truth) > 20 * error)  # shares too: it could have failed


@pytest.mark.slow
def test_stratified_gradients_vanish_at_the_exact_posterior():
    params = exact_parts()
    items = Items(jnp.zeros((3, 0)), jnp.arange(3))
    step, _ = tb.objectives.stratified(2).step(
        params, None, items, jax.random.split(jax.random.key(0), 3)
    )
    np.testing.assert_allclose(step.bound, 0.0, atol=1e-5)
    for leaf in jax.tree.leaves(step.grads.posterior):
        np.testing.assert_allclose(leaf, 0.0, atol=1e-4)


def test_a_mixture_finds_both_modes_and_their_shares():
    steps = 1500
    run = tb.fit(
        BIMODAL,
        mixture(),
        objective=tb.objectives.stratified(8),
        steps=steps,
        batch_size=1,
        optimizer=optax.adam(optax.cosine_decay_schedule(0.1, steps)),
    )
    q = run.posterior
    shares, means = np.exp(np.asarray(q.log_shares(jnp.zeros(0)))), np.asarray(q.location.bias)
    order = np.argsort(means)
    np.testing.assert_allclose(shares[order], [0.8, 0.2], atol=0.01)
    np.testing.assert_allclose(means[order], [-2, 3], atol=0.05)
    assert tb.evaluate(BIMODAL, q, k=2000).mean == pytest.approx(0, abs=5e-3)


@pytest.mark.slow
def test_other_objectives_take_mixtures_by_gradients_that_leave_draws_alone():
    for objective in ("iwae(k=4, gradient='vimco')", "iwae(k=4, gradient='wake')", "rws(k=4)"):
        tb.fit(BIMODAL, mixture(), objective=objective, steps=2, batch_size=2)
    with pytest.raises(UsageError, match="'stratified'"):
        tb.fit(BIMODAL, mixture(), objective="elbo", steps=2)
    q = tb.posterior(BIMODAL, "normal")
    with pytest.raises(UsageError, match=r"needs the components .*; what works with these parts"):
        tb.fit(BIMODAL, q, objective="stratified", steps=2)
    with pytest.raises(UsageError, match="samples >= 1"):
        tb.objectives.stratified(0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tb.posterior(PLANE, "flo"), "did you mean flow"),
        (lambda: tb.posterior(PLANE, "full-covariance"), "did you mean full_covariance"),
        (lambda: tb.posterior(PLANE, "semi_implicit", layer="full"), "mean full_covariance"),
        (lambda: tb.posterior(PLANE, "flow", layer="full_covariance"), "for the kind 'semi_imp"),
        (lambda: tb.posterior(PLANE, "mixture", components=0), "components >= 1"),
        (lambda: tb.posterior(PLANE, "normal", whitened=parts(False)[1]), "for the kinds flow"),
        (
            lambda: tb.posterior(PLANE, "flow", whitened=tb.posterior(PLANE, "mixture")),
            "'full_covariance' to whiten by, got FullMixture",
        ),
        (
            lambda: tb.posterior(PLANE, "flow", whitened=tb.posterior(BIMODAL, "full_covariance")),
            r"on z of shape \(2,\), got \(1,\)",
        ),
        (lambda: tb.posterior(PLANE, "flow", whitened=parts(True)[1]), "of another model"),
    ],
)
def test_wrong_use_is_refused_in_words(make, words):
    with pytest.raises(UsageError, match=words):
        make()
