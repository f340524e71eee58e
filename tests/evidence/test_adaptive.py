"""Adaptive importance sampling on densities whose integral and moments are known.

False alarms: means at 4.9 standard errors, below 1e-6 a number; distributions by a
Kolmogorov-Smirnov test at 1e-5; the keys are fixed.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import tightbound as tb
from tests.evidence import targets
from tests.evidence.toys import repeated, scaled
from tests.oracles.linear_gaussian import exact_parts
from tests.ztest import LIMIT, z_of_mean
from tightbound.core.errors import UsageError
from tightbound.distributions import CouplingFlow
from tightbound.evidence import AMIS, DMPMC, FAB, PMC, adaptive
from tightbound.evidence.adaptive.adaptation import draw_kernel, log_kernel
from tightbound.evidence.adaptive.amis import Mixture

SHORT = {"rounds": 4, "warmup": 2}
UNBIASED = {
    "pmc": PMC(particles=150, **SHORT),
    "pmc-t": PMC(particles=150, dof=4.0, **SHORT),
    "dm-pmc": DMPMC(proposals=40, each=5, **SHORT),
    "dm-pmc-local": DMPMC(proposals=40, each=5, resampling="local", dof=4.0, **SHORT),
    "amis": AMIS(each=60, rounds=4),
    "fab": FAB(each=1000, rounds=3, updates=1, batch=8, buffer=2, temperatures=2, layers=2),
}
slow = pytest.mark.slow


@pytest.mark.stat
@pytest.mark.parametrize(
    "name",
    [
        "dm-pmc-local",
        *[pytest.param(n, marks=slow) for n in ("pmc", "pmc-t", "dm-pmc", "amis", "fab")],
    ],
)
def test_mean_weights_are_unbiased_and_their_errors_calibrated(name):
    parts = exact_parts(1)
    x, truth = repeated(parts, 400)
    found = adaptive(parts.model, x, method=UNBIASED[name], start=scaled(parts, 2.0).posterior)
    ratios = np.exp(np.asarray(found.log_evidence, np.float64) - truth)
    assert ratios.std() > 1e-3
    assert abs(float(z_of_mean(ratios, 1.0))) < LIMIT
    assert found.direction == "lower"
    # The bias of first order, half the variance, is known. Errors hold, and are at most half
    # as long again as need be, as tails of few weights make them.
    z = (found.log_evidence + found.stderr**2 / 2 - truth) / found.stderr
    assert np.mean(np.abs(z) < 1.96) > 0.95 - LIMIT * np.sqrt(0.95 * 0.05 / len(x))
    assert 0.6 < np.std(z) < 1 + LIMIT / np.sqrt(2 * len(x))


@pytest.mark.stat
@pytest.mark.parametrize(
    ("make", "log_z", "mean", "method"),
    [
        (targets.banana, np.log(7.99792), (-0.48448, 0), AMIS(components=5)),
        pytest.param(targets.banana, np.log(7.99792), (-0.48448, 0), DMPMC(), marks=slow),
        pytest.param(targets.five_modes, 0.0, (1.6, 1.4), AMIS(components=10), marks=slow),
        pytest.param(targets.five_modes, 0.0, (1.6, 1.4), DMPMC(resampling="local"), marks=slow),
        pytest.param(targets.four_dimensions, np.log(4.5), [1 / 3] * 4, DMPMC(), marks=slow),
        pytest.param(
            targets.four_dimensions, np.log(4.5), [1 / 3] * 4, AMIS(components=4), marks=slow
        ),
        pytest.param(lambda: targets.wells(1), targets.WELLS, None, PMC(), marks=slow),
        pytest.param(
            lambda: targets.twisted(5), 0.0, None, AMIS(components=8, each=1000), marks=slow
        ),
    ],
)
def test_known_integrals_and_means(make, log_z, mean, method):
    target = make()
    found = adaptive(target, method=method, start=targets.Wide(target.prior.dim))
    assert abs(found.mean - log_z) < LIMIT * found.stderr_draws
    assert found.stderr_draws < 0.1
    assert found.diagnostics["khat"].item() < 1
    if mean is not None:
        sd = found.diagnostics["sd"][0]
        away = (found.diagnostics["mean"][0] - mean) / (sd / np.sqrt(found.ess.item()))
        assert np.abs(away).max() < LIMIT
    assert found.diagnostics["ess_by_round"].shape == (1, method.rounds)


@slow
@pytest.mark.stat
def test_a_flow_learns_what_the_start_does_not_know():
    method = FAB(rounds=100, layers=6)
    found = adaptive(targets.wells(1), method=method, start=targets.Wide(2))
    assert abs(found.mean - targets.WELLS) < LIMIT * found.stderr_draws
    untrained = FAB(rounds=1, updates=1, layers=6, learning_rate=1e-12)
    before = adaptive(targets.wells(1), method=untrained, start=targets.Wide(2))
    assert found.ess.item() > 3 * before.ess.item()


@slow
@pytest.mark.stat
def test_weights_against_all_proposals_are_better_than_against_ones_own():
    parts = exact_parts(1)
    x, _ = repeated(parts, 50)
    start = scaled(parts, 2.0).posterior
    own = adaptive(parts.model, x, method=PMC(200, **SHORT, scales=(0.3,)), start=start)
    all_of_them = adaptive(parts.model, x, method=DMPMC(200, 1, **SHORT), start=start)
    assert own.draws == all_of_them.draws
    assert all_of_them.ess.mean() > 1.5 * own.ess.mean()


@slow
@pytest.mark.parametrize("dof", [None, 3.0])
def test_recycled_weights_are_those_of_the_whole_mixture(dof, monkeypatch):
    method, mixtures, draw = AMIS(components=2, each=4, rounds=2, dof=dof), [], AMIS._draw
    recycled, refitted = [], AMIS._refitted

    def seen(self, mixture, key):
        mixtures.append(mixture)
        return draw(self, mixture, key)

    def fitted(self, mixture, u, log_w):
        recycled.append((np.asarray(u, np.float64), np.asarray(log_w)))
        return refitted(self, mixture, u, log_w)

    monkeypatch.setattr(AMIS, "_draw", seen)
    monkeypatch.setattr(AMIS, "_refitted", fitted)

    def log_density(u):
        return -jnp.sum(jnp.abs(u - 0.5))

    first = jax.random.normal(jax.random.key(0), (50, 3))
    with jax.disable_jit():
        found = method.run(log_density, first, jax.random.key(1))
    assert len(mixtures) == 4

    def log_q(mixture, u):
        scales = np.asarray(mixture.factor @ np.swapaxes(mixture.factor, 1, 2), np.float64)
        each = [
            stats.multivariate_normal(mean, scale, allow_singular=False).logpdf(u)
            if dof is None
            else stats.multivariate_t(mean, scale, dof).logpdf(u)
            for mean, scale in zip(np.asarray(mixture.mean, np.float64), scales, strict=True)
        ]
        return special.logsumexp(np.asarray(mixture.log_share)[:, None] + each, axis=0)

    # Weights that fit are against both rounds' mixtures, those of the estimate against the last.
    u, log_w = recycled[-1]
    whole = special.logsumexp([log_q(mixture, u) for mixture in mixtures[:2]], axis=0) - np.log(2)
    np.testing.assert_allclose(log_w, -np.abs(u - 0.5).sum(axis=1) - whole, atol=1e-3)
    u = np.asarray(found.u, np.float64)
    truth = -np.abs(u - 0.5).sum(axis=1) - log_q(mixtures[-1], u)
    np.testing.assert_allclose(found.log_w, truth, atol=1e-3)
    assert len({float(mixture.mean[0, 0]) for mixture in mixtures}) == 3


@pytest.mark.stat
@pytest.mark.parametrize("dof", [None, 5.0])
def test_kernels_are_those_of_scipy(dof):
    u = np.asarray(draw_kernel(jax.random.key(0), (20_000, 2), dof), np.float64)
    law = stats.norm.cdf if dof is None else stats.t(dof).cdf
    assert stats.kstest(u[:, 0], law).pvalue > 1e-5
    assert (
        stats.kstest(
            np.hypot(*u.T) ** 2 / 2,
            (lambda r: 1 - np.exp(-r)) if dof is None else (stats.f(2, dof).cdf),
        ).pvalue
        > 1e-5
    )
    at = u[:50]
    scipy = (
        stats.multivariate_normal(np.zeros(2), 4 * np.eye(2))
        if dof is None
        else stats.multivariate_t(np.zeros(2), 4 * np.eye(2), dof)
    )
    found = log_kernel(jnp.asarray(at, jnp.float32), dof, np.log(2.0))
    np.testing.assert_allclose(found, scipy.logpdf(at), rtol=1e-4, atol=1e-4)


def test_em_on_draws_of_the_target_finds_its_components():
    method = AMIS(components=2, each=100, dof=None)
    draws = np.random.default_rng(0).normal(0, 0.5, (4000, 2)) + np.where(
        np.arange(4000)[:, None] < 1000, -4, 2
    )
    mixture = Mixture(
        jnp.log(jnp.array([0.5, 0.5])), jnp.array([[-1.0, -1], [1, 1]]), jnp.array([jnp.eye(2)] * 2)
    )
    refit = eqx.filter_jit(
        lambda m: method._refitted(m, jnp.asarray(draws, jnp.float32), jnp.zeros(4000))
    )
    for _ in range(20):
        mixture = refit(mixture)
    np.testing.assert_allclose(mixture.mean, [[-4, -4], [2, 2]], atol=0.1)
    np.testing.assert_allclose(np.exp(mixture.log_share), [0.25, 0.75], atol=0.03)
    np.testing.assert_allclose(
        mixture.factor @ np.swapaxes(mixture.factor, 1, 2), [0.25 * np.eye(2)] * 2, atol=0.05
    )


@pytest.mark.slow
def test_a_coupling_flow_is_a_density():
    flow = CouplingFlow.identity(2, layers=3, hidden=(8,), key=jax.random.key(0))
    z, log_q = flow.sample_and_log_prob(key=jax.random.key(1))
    assert log_q == pytest.approx(float(stats.norm.logpdf(np.asarray(z)).sum()), abs=1e-5)
    leaves, structure = jax.tree.flatten(flow)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    leaves = [a + 0.5 * jax.random.normal(k, a.shape) for a, k in zip(leaves, keys, strict=True)]
    flow = jax.tree.unflatten(structure, leaves)
    assert tb.evidence.exact(tb.Target(flow.log_prob, 2)).mean == pytest.approx(0, abs=1e-3)
    for key in jax.random.split(jax.random.key(3), 3):
        z, log_q = flow.sample_and_log_prob(key=key)
        assert flow.log_prob(z) == pytest.approx(float(log_q), abs=1e-4)
    layer, x = flow.layers[0], jnp.array([0.3, -0.8])
    y, log_det = layer.forward(x)
    back, log_det_back = layer.inverse(y)
    np.testing.assert_allclose(back, x, atol=1e-5)
    assert log_det == pytest.approx(-float(log_det_back), abs=1e-5)
    slope = jax.jacobian(lambda x: layer.forward(x)[0])(x)
    assert log_det == pytest.approx(float(jnp.linalg.slogdet(slope)[1]), abs=1e-5)
    assert flow.mean().shape == (2,)
    with pytest.raises(UsageError, match="2 dimensions or more, got 1"):
        CouplingFlow.identity(1, layers=3, hidden=(8,), key=jax.random.key(0))


@pytest.mark.slow
def test_neither_batches_nor_other_data_change_a_result():
    parts = exact_parts(1)
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    options = {"method": AMIS(each=20, rounds=3), "start": parts.posterior}
    whole = adaptive(parts.model, x, **options)
    some = adaptive(parts.model, x[:3], batch_size=2, **options)
    np.testing.assert_allclose(some.log_evidence, whole.log_evidence[:3], atol=1e-4)
    assert "adaptive multiple importance sampling" in whole.summary()


@slow
def test_several_layers_are_one_vector_and_start_at_the_prior():
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    two = exact_parts(2)
    prior = adaptive(two.model, x, method=AMIS(each=200, rounds=5))
    assert prior.diagnostics["mean"].shape == (5, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PMC(particles=1), "particles >= 2"),
        (lambda: PMC(rounds=5, warmup=5), "warmup from 0 to 4"),
        (lambda: PMC(scales=()), "scales above 0"),
        (lambda: PMC(dof=2.0), "dof above 2"),
        (lambda: DMPMC(each=0), "each >= 1"),
        (lambda: DMPMC(scale=0.0), "a scale above 0"),
        (lambda: DMPMC(resampling="all"), "resampling out of global, local"),
        (lambda: AMIS(components=0), "components >= 1"),
        (lambda: FAB(buffer=0), "buffer >= 1"),
        (lambda: FAB(learning_rate=0.0), "learning rate above 0"),
        (lambda: adaptive(targets.banana()), "this needs draws of a prior"),
        (
            lambda: adaptive(tb.Target(lambda z: z[0], 1), method=FAB(), start=targets.Wide(1)),
            "2 dimensions or more",
        ),
    ],
)
def test_wrong_use_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_binary_latents_are_refused():
    x = np.zeros((3, 4), np.float32)
    model, _ = tb.autoencoder(x, latent=2, hidden=(), posterior="gamma")
    with pytest.raises(UsageError, match="prior on all real numbers"):
        adaptive(model, x)
