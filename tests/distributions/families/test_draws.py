"""Draws, densities and derivatives of every family against SciPy and closed forms.

False alarms, with fixed keys: below 1e-4 for each test. Goodness of fit shares 1e-4 among the
numbers of a test; each z-statistic is held against 4.9 (1e-6), and no test has more than 20.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tests.distributions.families.truths import (
    DIRECTION,
    JOINT,
    TRUTHS,
    derivative,
    joint_log_density,
    joint_moment,
)
from tests.ztest import LIMIT, paired_z, z_of_mean

from tightbound.distributions import FAMILIES

LEVEL = 1e-4
DRAWS = 2**13

# Ratios of gammas, whose implicit gradients take long to compile; gamma itself is always tested.
RATIOS = ("beta", "chi_squared", "f", "student_t")
every_family = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in RATIOS else name for name in TRUTHS],
)
every_joint_family = pytest.mark.parametrize("name", JOINT)


def f64(array):
    return np.asarray(array, np.float64)


def parameters_of(name):
    """The parameters in float64, rounded to float32."""
    given = TRUTHS[name].parameters if name in TRUTHS else JOINT[name]
    return [f64(np.asarray(value, np.float32)) for value in given]


@functools.cache
def draws(name):
    """Draws (n, 3), their log-densities (n, ...), and derivatives of draws per parameter.

    For independent units these are dz_u / dp_u, of shape (n, 3); for others the whole Jacobian.
    """
    family = FAMILIES[name]
    parameters = tuple(jnp.asarray(p, jnp.float32) for p in parameters_of(name))

    def slope(index, key):
        def draw(p):
            return family.draw(key, *parameters[:index], p, *parameters[index + 1 :])

        p = parameters[index]
        if name in JOINT:
            return jax.jacfwd(draw)(p)
        return jax.jvp(draw, (p,), (jnp.ones_like(p),))[1]

    def one(key):
        z = family.draw(key, *parameters)
        slopes = [slope(i, key) for i in range(len(parameters))]
        return z, family.log_density(z, *parameters), slopes

    keys = jax.random.split(jax.random.key(1312), DRAWS)
    z, log_density, slopes = jax.jit(jax.vmap(one))(keys)
    assert z.dtype == log_density.dtype == jnp.float32
    return f64(z), f64(log_density), [f64(slope) for slope in slopes]


def test_every_family_has_a_truth():
    assert {*TRUTHS, *JOINT} == set(FAMILIES)


def assert_uniform(u):
    """Columns are uniform, and not correlated with each other."""
    for column in u.T:
        assert stats.kstest(column, stats.uniform.cdf).pvalue > LEVEL / 6
    assert np.abs(np.corrcoef(u.T) - np.eye(u.shape[1])).max() < LIMIT / np.sqrt(len(u))


@pytest.mark.stat
@every_family
def test_draws_follow_scipys_distribution(name):
    assert_uniform(TRUTHS[name].scipy(*parameters_of(name)).cdf(draws(name)[0]))


@pytest.mark.stat
@pytest.mark.parametrize("name", ["elliptical", "elliptical_t"])
def test_elliptical_draws_follow_scipys_distribution(name):
    location, factor, *df = parameters_of(name)
    white = np.linalg.solve(factor, (draws(name)[0] - location).T).T
    unit = stats.t(df[0]) if df else stats.norm
    radius = stats.f(3, df[0]) if df else stats.chi2(3, scale=1 / 3)
    # Units of a Student's t are not correlated, but depend on each other through the radius.
    assert_uniform(unit.cdf(white))
    assert stats.kstest((white**2).mean(axis=1), radius.cdf).pvalue > LEVEL / 6


@pytest.mark.stat
def test_dirichlet_draws_follow_scipys_distribution():
    z = draws("dirichlet")[0]
    (alpha,) = parameters_of("dirichlet")
    np.testing.assert_allclose(z.sum(axis=1), 1, rtol=1e-6)
    for i in range(3):
        marginal = stats.beta(alpha[i], alpha.sum() - alpha[i])
        assert stats.kstest(z[:, i], marginal.cdf).pvalue > LEVEL / 6
    # Neutral: the share of the first in the first two does not depend on the third.
    share = stats.beta(alpha[0], alpha[1]).cdf(z[:, 0] / (z[:, 0] + z[:, 1]))
    assert_uniform(np.stack([share, stats.beta(alpha[2], alpha[:2].sum()).cdf(z[:, 2])], axis=1))


@every_family
def test_densities_equal_scipys(name):
    z, log_density, _ = draws(name)
    truth = TRUTHS[name].scipy(*parameters_of(name)).logpdf(z)
    # At the ends of an interval SciPy has -inf for what float32 rounded across them.
    inside = np.isfinite(truth)
    assert inside.mean() > 0.999
    np.testing.assert_allclose(log_density[inside], truth[inside], rtol=2e-4, atol=2e-4)
    assert np.all(np.isfinite(log_density))


@every_joint_family
def test_joint_densities_equal_scipys(name):
    z, log_density, _ = draws(name)
    truth = joint_log_density(name, parameters_of(name), z[:500])
    np.testing.assert_allclose(log_density[:500], truth, rtol=2e-4, atol=2e-4)


def implicit_slopes(name, z):
    """-(dF/dp) / (dF/dz) at each draw, for each parameter, in float64."""
    scipy, parameters = TRUTHS[name].scipy, parameters_of(name)
    here = scipy(*parameters)
    lower, density = here.cdf(z) < 0.5, here.pdf(z)
    for index in range(len(parameters)):
        of_cdf = derivative(lambda *p: scipy(*p).cdf(z), parameters, index)
        of_sf = derivative(lambda *p: scipy(*p).sf(z), parameters, index)
        yield np.where(lower, -of_cdf, of_sf) / density


@pytest.mark.parametrize("name", [name for name in TRUTHS if TRUTHS[name].one_noise])
def test_each_draw_moves_with_its_parameters_as_its_cdf_says(name):
    z, _, slopes = draws(name)
    z, slopes = z[:1000], [slope[:1000] for slope in slopes]
    for slope, truth in zip(slopes, implicit_slopes(name, z), strict=True):
        np.testing.assert_array_less(
            np.abs(slope - truth), 1e-3 * np.abs(truth) + 1e-4 * np.abs(truth).mean(axis=0)
        )


# Of several noises the mean move of the draws at each place is determined: three places.
@pytest.mark.stat
@pytest.mark.parametrize("name", [name for name in TRUTHS if not TRUTHS[name].one_noise])
def test_draws_move_with_their_parameters_on_average_as_their_cdf_says(name):
    z, _, slopes = draws(name)
    u = TRUTHS[name].scipy(*parameters_of(name)).cdf(z)
    for slope, truth in zip(slopes, implicit_slopes(name, z), strict=True):
        for window in (np.exp(-10 * u), u * (1 - u), np.exp(10 * (u - 1))):
            assert np.all(np.abs(paired_z(window * slope, window * truth)) < LIMIT)


@pytest.mark.stat
@every_family
def test_gradients_of_a_moment_are_those_of_its_closed_form(name):
    z, _, slopes = draws(name)
    truth, parameters = TRUTHS[name], parameters_of(name)
    assert np.all(np.abs(z_of_mean(truth.statistic(z), truth.moment(*parameters))) < LIMIT)
    for index, slope in enumerate(slopes):
        exact = derivative(truth.moment, parameters, index)
        gradients = truth.slope(z) * slope
        # Where the gradient is the same for every draw there is rounding, and no spread.
        spread = gradients.std(axis=0) > 1e-5 * np.abs(exact)
        z_gradient = z_of_mean(gradients[:, spread], exact[spread])
        assert np.all(np.abs(z_gradient) < LIMIT), (name, index)
        np.testing.assert_allclose(gradients.mean(axis=0)[~spread], exact[~spread], rtol=1e-4)


@pytest.mark.stat
@every_joint_family
def test_gradients_of_a_joint_moment_are_those_of_its_closed_form(name):
    z, _, slopes = draws(name)
    parameters = parameters_of(name)
    along = z @ DIRECTION
    assert abs(z_of_mean(along**2, joint_moment(name, parameters))) < LIMIT
    for index, slope in enumerate(slopes):
        gradients = np.einsum("n,nu...,u->n...", 2 * along, slope, DIRECTION)
        for place in np.ndindex(parameters[index].shape):
            if len(place) == 2 and place[1] > place[0]:
                continue  # above the diagonal of a factor

            def moment(value, index=index, place=place):
                changed = [p.copy() for p in parameters]
                changed[index][place] = value
                return joint_moment(name, changed)

            exact = derivative(moment, [parameters[index][place]], 0)
            assert abs(z_of_mean(gradients[:, *place], exact)) < LIMIT
