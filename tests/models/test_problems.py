"""Ready-made problems against what is known of them.

False alarms: at 4.9 standard errors, below 1e-6 a number; the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from tests.ztest import LIMIT, paired_z, z_of_mean

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.evidence import exact, prior_sampling
from tightbound.models import problems


def draws_of(model, n):
    x, z = jax.jit(jax.vmap(model.sample))(jax.random.split(jax.random.key(1), n))
    return np.asarray(x), np.asarray(z)


@pytest.mark.stat
@pytest.mark.slow
def test_eight_schools_has_its_evidence_and_its_symmetry():
    # Given mu and tau the measured effects are independent normals: two integrals are left.
    y, s = np.array(problems.EFFECTS), np.array(problems.ERRORS)

    def given(tau, mu):
        spread = np.sqrt(s**2 + tau**2)
        return stats.norm.pdf(mu) * stats.norm.pdf(tau) * np.prod(stats.norm.pdf(y, mu, spread))

    truth = np.log(integrate.dblquad(given, -6, 6, -6, 6, epsabs=1e-12)[0])
    target = problems.eight_schools()
    found = prior_sampling(target, k=200_000, key=0)
    assert abs(found.mean - truth) < LIMIT * found.stderr_draws
    assert found.ess[0] > 100
    z = jax.random.normal(jax.random.key(0), (10,))
    mirrored = jnp.concatenate([z[:1], -z[1:]])
    none = jnp.zeros(0)
    np.testing.assert_allclose(target.log_joint(none, z), target.log_joint(none, mirrored), 1e-6)


def test_logistic_regression_has_the_evidence_of_its_grid():
    def density(b, a):
        signed = np.array(problems.LABELS) * (np.array(problems.POINTS) @ np.array([a, b]))
        return np.prod(1 / (1 + np.exp(-signed))) * stats.norm.pdf([a, b], 0, np.sqrt(2)).prod()

    truth = np.log(integrate.dblquad(density, -12, 12, -12, 12, epsabs=1e-10)[0])
    found = exact(problems.logistic_regression())
    assert found.mean == pytest.approx(truth, abs=1e-5)


@pytest.mark.stat
@pytest.mark.parametrize("name", ["two_moons", "linear_gaussian_simulator", "gaussian_linear"])
def test_exact_posteriors_of_simulators_are_calibrated(name):
    # Of z and a draw of its posterior, neither can be told from the other: first, second and mixed
    # moments agree over x.
    model, posterior = getattr(problems, name)()
    x, z = draws_of(model, 2000)
    again = np.concatenate([posterior(row, 1, i) for i, row in enumerate(x)])

    def moments(z):
        return np.stack(
            [z[:, 0], z[:, 1], z[:, 0] ** 2, z[:, 1] ** 2, z[:, 0] * z[:, 1], *(x.T * z[:, 0])],
            axis=1,
        )

    assert np.abs(paired_z(moments(z), moments(again))).max() < LIMIT


@pytest.mark.stat
def test_two_moons_are_two_crescents():
    model, posterior = problems.two_moons()
    z = posterior(np.zeros(2, np.float32), 4000, 0)
    upper = z.sum(axis=1) > 0
    assert abs(z_of_mean(upper, 0.5)) < LIMIT
    # Solved back, the crescent has its radius.
    away = -np.stack([-np.abs(z.sum(axis=1)), z[:, 1] - z[:, 0]], axis=1) / np.sqrt(2)
    radius = np.hypot(away[:, 0] - 0.25, away[:, 1])
    assert abs(z_of_mean(radius, 0.1)) < LIMIT
    assert abs(z_of_mean((radius - 0.1) ** 2, 1e-4)) < LIMIT
    with pytest.raises(UsageError, match="expected x from the simulator"):
        posterior(np.array([9.0, 9.0], np.float32), 5, 0)


def test_the_densities_have_no_parameters_to_learn():
    for target in (problems.eight_schools(), problems.logistic_regression()):
        q = tb.posterior(target, "normal", hidden=(4,))
        run = tb.fit(target, q, objective=tb.objectives.elbo(), steps=3, batch_size=4)
        assert not [leaf for leaf in jax.tree.leaves(run.model) if isinstance(leaf, jax.Array)]
