"""The terms of implicit objectives against log-ratios and scores in closed form."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.objectives.implicit.toys import (
    MEAN,
    SCALE,
    SLOPE,
    SPREAD,
    Affine,
    explicit,
    implicit,
    model,
)
from tests.ztest import LIMIT, z_of_mean

from tightbound.adjoints import FirstOrder
from tightbound.core.items import Items
from tightbound.core.streams import item_keys, numbered, stream
from tightbound.distributions import Implicit, StandardNormal
from tightbound.distributions.components import log_mean_exp
from tightbound.objectives import Params, ali, hybrid, jc_adv, jc_den, opvi, pc_adv, pc_den
from tightbound.objectives.implicit.terms import (
    Batch,
    Denoiser,
    Denoising,
    DualRatio,
    Game,
    Ratio,
    Stein,
)

N = 64


def data(n=N):
    return jnp.asarray(np.random.default_rng(3).normal(size=(n, 2)), jnp.float32)


def keys(n=N, seed=0):
    return item_keys(jax.random.key(seed), jnp.arange(n))


def moments(x):
    """The exact mean and standard deviations of q."""
    return x @ SLOPE + MEAN[None], jnp.broadcast_to(SCALE, x.shape)


def batch(x, seed=0):
    """What a term sees: draws of q, with its exact moments."""
    z = jax.vmap(lambda x, key: implicit().sample(x, key=key))(x, keys(len(x), seed))
    return Batch(x, z, *moments(x), keys(len(x), seed + 1), jnp.zeros_like(z), moments)


class Posterior(NamedTuple):
    """In place of learned moments of p(z|x): others, to be corrected by the network."""

    def at(self, x):
        return 0.2 * x, jnp.full(x.shape, 0.9)

    def loss(self, x, z):
        return jnp.zeros([])


PRECISION = 1 + 1 / SPREAD**2


class Exact(eqx.Module):
    """A "classifier" that is the log-ratio of q and the prior itself; it sees arcsinh(x)."""

    def __call__(self, x, z):
        x = jnp.sinh(x)
        return (explicit().log_prob(z, x) - StandardNormal(2).log_prob(z))[None]


def test_pc_adv_is_adversarial_variational_bayes():
    # Algorithm 1 of Mescheder et al. by hand, at the same draws and the same discriminator.
    objective = pc_adv(inner=2, hidden=(8,))
    parts, x = Params(model(), implicit()), data()
    memory = objective.init(parts, N, jax.random.key(5))
    step, after = eqx.filter_jit(objective.step)(parts, memory, Items.of(x), keys())
    classifier = eqx.combine(after.aux, objective._static(parts)).terms[0]
    term = objective.terms[0]

    @eqx.filter_jit
    def by_hand(classifier, parts):
        drawn = objective._batch(eqx.combine(after.aux, objective._static(parts)), parts, x, keys())

        def primal(q, likelihood):
            # z = z_phi(x, eps): the noise of the same draws.
            eps = (drawn.z - x @ SLOPE - MEAN[None]) / SCALE[None]
            z = jax.vmap(q.push)(eps, x)
            t = jax.vmap(lambda x, z: classifier(jnp.arcsinh(x), z)[0])(x, z)
            return jnp.mean(-t + jax.vmap(likelihood.log_prob)(x, z))

        q, likelihood = parts.posterior, parts.model.likelihood
        primals = (
            primal(q, likelihood),
            eqx.filter_grad(lambda q: primal(q, likelihood))(q),
            eqx.filter_grad(lambda p: primal(q, p))(likelihood),
        )
        # The discriminator's loss: q is label 1, the prior label 0.
        z_p = jax.vmap(lambda key: jax.random.normal(key, (2,)))(term._further(drawn, 1))
        logit = jax.vmap(lambda x, z: classifier(jnp.arcsinh(x), z)[0])
        of_q, of_prior = logit(x, drawn.z), logit(x, z_p)
        loss = -jnp.mean(jnp.log(jax.nn.sigmoid(of_q))) - jnp.mean(
            jnp.log(1 - jax.nn.sigmoid(of_prior))
        )
        return primals, loss, term.loss(classifier, parts, drawn)

    (value, g_phi, g_theta), loss, of_term = by_hand(classifier, parts)
    close = lambda a, b: np.testing.assert_allclose(a, -b, rtol=2e-4, atol=2e-5)  # noqa: E731
    np.testing.assert_allclose(np.mean(step.bound), value, rtol=1e-5)
    jax.tree.map(close, jax.tree.leaves(step.grads.posterior), jax.tree.leaves(g_phi))
    jax.tree.map(close, jax.tree.leaves(step.grads.model.likelihood), jax.tree.leaves(g_theta))
    np.testing.assert_allclose(of_term, loss, rtol=1e-5)


def test_the_frozen_exact_ratio_has_the_gradient_of_the_elbo():
    # Proposition 2: what is left out has the mean zero. False alarms: 9.6e-7 for each number.
    x = jnp.array([[0.6, -1.1]])
    term = Ratio("q", "prior", -1.0, (4,), jnp.zeros([]))

    def climbed(network, seed):
        q = Implicit(network=network, noise=2)
        z = q.sample(x[0], key=jax.random.key(seed))[None]
        at = Batch(x, z, z, z, keys(1, 7), z, moments)
        likelihood = model().likelihood.log_prob(x[0], z[0])
        return term.climbed(Exact(), Params(model(), q), at)[0] + likelihood

    def elbo(network):
        m, s = x[0] @ network.slope + network.shift, jnp.exp(network.log_scale)
        kl = 0.5 * jnp.sum(m**2 + s**2 - 1 - 2 * jnp.log(s))
        return -kl - 0.5 * jnp.sum((x[0] - m) ** 2 + s**2) / SPREAD**2

    network = Affine(SLOPE, MEAN, jnp.log(SCALE))
    draws = eqx.filter_jit(
        lambda: jax.lax.map(
            lambda seed: jax.grad(climbed)(network, seed), jnp.arange(20_000), batch_size=1000
        )
    )()
    for drawn, truth in zip(
        jax.tree.leaves(draws), jax.tree.leaves(jax.grad(elbo)(network)), strict=True
    ):
        assert np.abs(z_of_mean(drawn, truth)).max() < LIMIT


def test_the_exact_ratio_is_where_the_classifiers_loss_is_flat():
    # d/dc of the loss at T* + c f has the mean zero for any f. False alarms: 9.6e-7.
    x = data(20_000)
    term = Ratio("q", "prior", -1.0, (4,), jnp.zeros([]))
    at = batch(x)
    first, second = term.both(Exact(), Params(model(), implicit()), at)
    z_p = jax.vmap(lambda key: jax.random.normal(key, (2,)))(term._further(at, 1))
    for f in (lambda x, z: z[:, 0], lambda x, z: z[:, 1] ** 2, lambda x, z: x[:, 0] * z[:, 0]):
        of_q, of_prior = f(x, at.z), f(x, z_p)
        slope = -jax.nn.sigmoid(-first) * of_q + jax.nn.sigmoid(second) * of_prior
        assert abs(z_of_mean(slope)) < LIMIT


def test_the_dual_is_the_divergence_at_the_exact_ratio_and_flat_there():
    # The value and its slope along T* + c f, for any f. False alarms: 9.6e-7 for each number.
    x = data(20_000)
    term = DualRatio("q", "prior", -1.0, (4,), jnp.zeros([]))
    parts, at = Params(model(), implicit()), batch(x)
    first, second = term.both(Exact(), parts, at)
    z_p = jax.vmap(lambda key: jax.random.normal(key, (2,)))(term._further(at, 1))
    m = moments(x)[0]
    kl = 0.5 * jnp.sum(m**2 + (SCALE**2 - 1 - 2 * jnp.log(SCALE))[None], axis=1)
    ratio = jnp.exp(second - log_mean_exp(second))
    np.testing.assert_allclose(
        np.mean(term.climbed(Exact(), parts, at)), -np.mean(first - log_mean_exp(second)), rtol=1e-5
    )
    assert abs(z_of_mean(first - kl - (jnp.exp(second) - 1))) < LIMIT
    for f in (lambda x, z: z[:, 0], lambda x, z: z[:, 1], lambda x, z: x[:, 0] * z[:, 0]):
        assert abs(z_of_mean(f(x, at.z) - ratio * f(x, z_p))) < LIMIT


def test_instance_noise_compares_the_convolved_distributions():
    # With noise the flat point is the log-ratio of q * N(0, s^2) and p * N(0, s^2).
    s, x = 0.6, data(20_000)
    term = Ratio("q", "prior", -1.0, (4,), jnp.asarray(s))

    class Convolved(eqx.Module):
        def __call__(self, x, z):
            m, scale = jnp.sinh(x) @ SLOPE + MEAN, jnp.sqrt(SCALE**2 + s**2)
            log_q = jax.scipy.stats.norm.logpdf(z, m, scale)
            return jnp.sum(log_q - jax.scipy.stats.norm.logpdf(z, 0.0, (1 + s**2) ** 0.5))[None]

    at = batch(x)
    z = term._noised(x, at.z, term._further(at, 2))[1]
    z_p = jax.vmap(lambda key: jax.random.normal(key, (2,)))(term._further(at, 1))
    z_p = term._noised(x, z_p, term._further(at, 3))[1]
    assert not np.allclose(z, at.z)
    for ratio, flat in ((Convolved(), True), (Exact(), False)):
        first, second = term.both(ratio, Params(model(), implicit()), at)
        slope = -jax.nn.sigmoid(-first) * z[:, 0] ** 2 + jax.nn.sigmoid(second) * z_p[:, 0] ** 2
        assert (abs(z_of_mean(slope)) < LIMIT) == flat


def test_the_best_denoiser_of_a_normal_is_the_score_of_the_noised_density():
    # The normal with q's moments is q: beside it the network has nothing to add.
    x, sigma = data(), jnp.asarray(0.5)
    term = Denoiser("q", -1.0, (4,), sigma)
    at = batch(x)
    z = at.z + sigma * at.scale * 0.3
    nothing = Denoising(lambda x, u: jnp.zeros(2), None)
    s = term.score(nothing, x, z, at.centre, at.scale) / at.scale
    noised = lambda z, x: jnp.sum(  # noqa: E731
        jax.scipy.stats.norm.logpdf(z, x @ SLOPE + MEAN, SCALE * jnp.sqrt(1 + sigma**2))
    )
    np.testing.assert_allclose(s, jax.vmap(jax.grad(noised))(z, x), rtol=1e-4, atol=1e-5)
    # F(z) - z = sigma^2 s^2 score: Tweedie's formula for the mean of the clean draw.
    clean = z + (sigma * at.scale) ** 2 * s
    share = 1 / (1 + sigma**2)
    np.testing.assert_allclose(clean, at.centre + share * (z - at.centre), rtol=1e-4, atol=1e-5)


def test_the_denoisers_loss_is_flat_at_the_score():
    # d/dc of ||sigma (s + c f) + eta||^2 has the mean zero. False alarms: 9.6e-7 for each number.
    x = data(4000)
    term = Denoiser("q", -1.0, (4,), jnp.asarray(0.4))

    def slope(c, x, seed):
        f = lambda x, u: c * jnp.array([u[0] * x[0], jnp.sin(u[1])])  # noqa: E731
        return term.loss(Denoising(f, None), Params(model(), implicit()), batch(x[None], seed))

    each = jax.jit(jax.vmap(jax.grad(slope), in_axes=(None, 0, 0)))
    assert abs(z_of_mean(each(0.0, x, jnp.arange(4000)))) < LIMIT
    assert abs(z_of_mean(each(0.3, x, jnp.arange(4000)))) > LIMIT


def exact_beside(sigma):
    """The network that makes the score beside `Posterior` that of p(z|x) with q's noise."""

    def network(x, u):
        x = jnp.sinh(x)
        own, scale = Posterior().at(x[None]), SCALE
        spread = jnp.sqrt(own[1][0] ** 2 + (sigma * scale) ** 2)
        z = u * spread + own[0][0]
        s = -(z - x / SPREAD**2 / PRECISION) / (1 / PRECISION + (sigma * scale) ** 2)
        return spread * s + u

    return network


def test_the_joint_denoisers_loss_is_flat_at_the_score_of_the_models_posterior():
    # Its noise has the scale of q at the model's own x. False alarms: 9.6e-7 for each number.
    x = data(4000)
    term = Denoiser("joint", 1.0, (4,), jnp.asarray(0.4))
    right = exact_beside(0.4)

    def slope(c, x, seed):
        f = lambda x, u: right(x, u) + c * jnp.array([u[0] + x[0], jnp.sin(u[1])])  # noqa: E731
        aux = Denoising(f, Posterior())
        return term.loss(aux, Params(model(), implicit()), batch(x[None], seed))

    each = jax.jit(jax.vmap(jax.grad(slope), in_axes=(None, 0, 0)))
    assert abs(z_of_mean(each(0.0, x, jnp.arange(4000)))) < LIMIT
    assert abs(z_of_mean(each(0.3, x, jnp.arange(4000)))) > LIMIT


@pytest.mark.parametrize("joint", [False, True])
def test_denoising_climbs_the_divergence_of_the_noised_q(joint):
    # With exact scores the mean gradient is that of KL(q_sigma || p), or || p_sigma), in full.
    sigma, x = 0.5, jnp.array([[0.6, -1.1]])
    m_p, v_p = x[0] / SPREAD**2 / PRECISION, 1 / PRECISION

    def divergence(network, scale):
        noise = (sigma * scale) ** 2  # q's own deviations, taken as constants
        m, v = x[0] @ network.slope + network.shift, jnp.exp(2 * network.log_scale) + noise
        v_target = v_p + (noise if joint else jnp.zeros(2))
        return 0.5 * jnp.sum(v / v_target + (m - m_p) ** 2 / v_target - 1 - jnp.log(v / v_target))

    network = Affine(SLOPE, MEAN, jnp.log(SCALE))
    truth = jax.grad(divergence)(network, SCALE)
    objective = jc_den(sigma=sigma, hidden=(4,)) if joint else pc_den(sigma=sigma, hidden=(4,))
    of_q = Denoising(lambda x, u: jnp.zeros(2), None)
    of_p = Denoising(exact_beside(sigma), Posterior())
    aux = (of_q, of_p) if joint else (of_q, None, None)

    def climbed(network, seed):
        q = Implicit(network=network, noise=2)
        z = q.sample(x[0], key=jax.random.key(seed))[None]
        noise = jax.random.normal(jax.random.key(seed + 2**20), z.shape)
        centre = (x @ SLOPE + MEAN[None]).astype(z.dtype)
        at = objective._noised(Batch(x, z, centre, SCALE[None], keys(1), noise, moments))
        parts = Params(model(), q)
        terms = [t.climbed(a, parts, at)[0] for t, a in zip(objective.terms, aux, strict=True)]
        return jnp.sum(jnp.stack(terms))

    draws = eqx.filter_jit(
        lambda: jax.lax.map(
            lambda seed: jax.grad(climbed)(network, seed), jnp.arange(20_000), batch_size=1000
        )
    )()
    for drawn, exact in zip(jax.tree.leaves(draws), jax.tree.leaves(truth), strict=True):
        assert np.abs(z_of_mean(drawn, -np.asarray(exact))).max() < LIMIT


def test_the_value_of_the_game_at_equal_joints_is_minus_two_log_two():
    x = data()
    blind = lambda x, z: jnp.zeros(1)  # noqa: E731
    term = Game("q", "joint", -1.0, (4,), jnp.zeros([]))
    value = term.climbed(blind, Params(model(), implicit()), batch(x))
    np.testing.assert_allclose(value, -2 * np.log(2), rtol=1e-6)


class Bent(eqx.Module):
    """A test function in units of q's deviations that nothing is special about."""

    def __call__(self, x, u):
        return jnp.array([jnp.tanh(u[0] * u[1]) + x[0], jnp.sin(u[1] - u[0])])


class Best(eqx.Module):
    """s (d log p(z|x) - d log q(z|x)) as a function of u = (z - c) / s; it sees arcsinh(x)."""

    def __call__(self, x, u):
        x = jnp.sinh(x)
        z = u * SCALE + x @ SLOPE + MEAN
        return SCALE * (x / SPREAD**2 - PRECISION * z) + u


def fisher(x):
    """E_q |s (d log p - d log q)|^2 for each x: the difference of the scores is affine in z."""
    s, m = np.asarray(SCALE), np.asarray(moments(x)[0])
    at_mean = s * (np.asarray(x) / SPREAD**2 - PRECISION * m)
    return np.sum(at_mean**2 + (1 - PRECISION * s**2) ** 2, axis=1)


def test_the_langevin_stein_operator_has_the_mean_zero_under_the_posterior():
    # False alarms: 9.6e-7 for each number.
    term, parts, x = Stein((8,)), Params(model(), implicit()), jnp.array([0.6, -1.1])
    noise = jax.random.normal(jax.random.key(2), (20_000, 2))
    of = jax.jit(
        jax.vmap(lambda z: term.operator(Bent(), parts, x, z, jnp.array([0.3, -0.2]), SCALE)[0])
    )
    z = x[None] / SPREAD**2 / PRECISION + noise / PRECISION**0.5
    assert abs(z_of_mean(of(z))) < LIMIT
    assert abs(z_of_mean(of(z + 0.5))) > LIMIT


def test_the_operator_is_that_of_the_test_function_in_the_units_of_z():
    term, parts, x = Stein((8,)), Params(model(), implicit()), jnp.array([0.6, -1.1])
    z, centre = jnp.array([0.4, -0.9]), jnp.array([0.3, -0.2])
    f = lambda z: SCALE * Bent()(jnp.arcsinh(x), (z - centre) / SCALE)  # noqa: E731

    @jax.jit
    def both(z):
        score = jax.grad(lambda z: model().log_joint(x, z))(z)
        by_hand = score @ f(z) + jnp.trace(jax.jacrev(f)(z)), jnp.sum((f(z) / SCALE) ** 2)
        return term.operator(Bent(), parts, x, z, centre, SCALE), by_hand

    (applied, square), (by_hand, square_by_hand) = both(z)
    np.testing.assert_allclose(applied, by_hand, rtol=1e-5)
    np.testing.assert_allclose(square, square_by_hand, rtol=1e-6)


def test_the_discrepancy_is_the_fisher_divergence_at_the_best_function_and_flat_there():
    # The value and its slope along f* + c g, for any g. False alarms: 9.6e-7 for each number.
    term, parts, x = Stein((8,)), Params(model(), implicit()), data(20_000)
    at = batch(x)
    assert abs(z_of_mean(-term.climbed(Best(), parts, at) - fisher(x))) < LIMIT

    def slope(c, start):
        aux = lambda x, u: start(x, u) + c * Bent()(x, u)  # noqa: E731
        return -term.climbed(aux, parts, at)

    each = jax.jit(jax.jacfwd(slope), static_argnums=1)
    assert abs(z_of_mean(each(0.0, Best()))) < LIMIT
    assert abs(z_of_mean(each(0.0, lambda x, u: 0.5 * Best()(x, u)))) > LIMIT


def test_the_gradient_at_the_best_function_is_that_of_the_fisher_divergence():
    # By its closed form, with q's deviations as units held. False alarms: 9.6e-7 for each number.
    x, term = jnp.array([[0.6, -1.1]]), Stein((8,))
    network = Affine(SLOPE, MEAN, jnp.log(SCALE))

    def divergence(network):
        m, s = x[0] @ network.slope + network.shift, jnp.exp(network.log_scale)
        at_mean = x[0] / SPREAD**2 - PRECISION * m
        return jnp.sum(SCALE**2 * (at_mean**2 + (1 / s - PRECISION * s) ** 2))

    def found(network, seed):
        q = Implicit(network=network, noise=2)
        z = q.sample(x[0], key=jax.random.key(seed))[None]
        at = Batch(x, z, *moments(x), keys(1), z, moments)
        return -term.climbed(Best(), Params(model(), q), at)[0]

    draws = eqx.filter_jit(
        lambda: jax.lax.map(
            lambda seed: jax.grad(found)(network, seed), jnp.arange(20_000), batch_size=1000
        )
    )()
    for drawn, truth in zip(
        jax.tree.leaves(draws), jax.tree.leaves(jax.grad(divergence)(network)), strict=True
    ):
        assert np.abs(z_of_mean(drawn, truth)).max() < LIMIT


@pytest.mark.parametrize(
    ("objective", "learns"),
    [
        (pc_adv(hidden=(8,)), True),
        (jc_adv(hidden=(8,)), False),
        (opvi(hidden=(8,)), False),
        (hybrid(hidden=(8,)), False),
        *(
            pytest.param(objective, learns, marks=pytest.mark.slow)
            for objective, learns in (
                (pc_adv(hidden=(8,), contrast="adaptive"), True),
                (pc_den(hidden=(8,)), True),
                (pc_den(hidden=(8,), prior="denoiser"), True),
                (jc_den(hidden=(8,)), False),
                (ali(hidden=(8,)), True),
                (hybrid(posterior="classifier", likelihood="exact", hidden=(8,)), True),
            )
        ),
    ],
    ids=lambda value: value.description[:22] if hasattr(value, "description") else None,
)
def test_the_model_moves_where_the_taxonomy_says_so(objective, learns):
    assert objective.requires.learns == learns
    parts, x = Params(model(), implicit()), data(8)
    memory = objective.init(parts, 8, jax.random.key(5))
    step, _ = eqx.filter_jit(objective.step)(parts, memory, Items.of(x), keys(8))
    largest = lambda tree: max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))  # noqa: E731
    assert largest(step.grads.posterior) > 0
    assert (largest(step.grads.model) > 0) == learns


@pytest.mark.slow
def test_inner_steps_follow_their_optimiser():
    # Two inner steps are two steps of the same Adam on fresh draws, and nothing else moves.
    parts, x = Params(model(), implicit()), data(8)
    one = pc_adv(inner=1, hidden=(8,))
    memory = one.init(parts, 8, jax.random.key(5))
    _, after = eqx.filter_jit(one.step)(parts, memory, Items.of(x), keys(8))
    assert isinstance(one.adjoint, FirstOrder)
    whole = eqx.combine(memory.aux, one._static(parts))
    fresh = jax.vmap(lambda key: numbered(stream(key, "nested.inner"), 0))(keys(8))
    drawn = one._batch(whole, parts, x, fresh)
    grads = eqx.filter_grad(lambda aux: one.terms[0].loss(aux, parts, drawn))(whole.terms[0])
    adam = optax.adam(1e-3, b1=0.5, eps_root=1e-10)
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = adam.update(grads, adam.init(memory.aux.terms[0]))
    by_hand = eqx.apply_updates(memory.aux.terms[0], updates)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        after.aux.terms[0],
        by_hand,
    )
