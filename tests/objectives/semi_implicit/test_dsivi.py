"""Mixtures for prior and posterior, both Gaussian: the bound against closed forms.

False alarms: at 4.9 standard errors below 1e-6 a number; the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests import once
from tests.objectives.semi_implicit import gaussian
from tests.objectives.semi_implicit.gaussian import X, bounds
from tests.ztest import LIMIT, z_of_mean

from tightbound.core.errors import UsageError
from tightbound.objectives import dsivi, sivi

PRIOR = gaussian.mixed_prior()


@pytest.mark.stat
@pytest.mark.slow
def test_the_bound_rises_with_both_k_to_the_elbo_from_below():
    parts = gaussian.parts(prior=PRIOR)
    mean, cov, _ = gaussian.moments(PRIOR)
    truth = gaussian.elbo(parts, X, (mean, cov))
    sizes = ((0, 1), (3, 1), (3, 8), (100, 300))
    found = [bounds(dsivi(k, prior_k, samples=2), parts, 4000) for k, prior_k in sizes]
    for one, more in zip(found[:-1], found[1:], strict=True):
        assert z_of_mean(one, truth) < LIMIT
        assert z_of_mean(more - one) > LIMIT
    assert found[-1].mean() == pytest.approx(float(truth), abs=0.05)


@pytest.mark.slow
@pytest.mark.stat
def test_without_further_components_it_is_the_hierarchical_bound():
    parts = gaussian.parts(prior=PRIOR)
    at, cov, scale = gaussian.moments(PRIOR)
    # E log p(z|noise) is that of the layer at its mean, less the spread of that mean.
    loose = jnp.trace((cov - jnp.diag(scale**2)) @ jnp.diag(scale**-2)) / 2
    truth = gaussian.hierarchical(parts, X, (at, jnp.diag(scale**2))) - loose
    assert abs(z_of_mean(bounds(dsivi(0, 1, samples=2), parts, 8000), truth)) < LIMIT


def test_both_learn_and_what_is_refused():
    parts = gaussian.parts(prior=PRIOR)
    keys = jax.random.split(jax.random.key(0), 1)
    step = jax.jit(lambda keys: once.step(dsivi(3, 4), parts, X[None], keys))(keys)
    layers = (step.grads.model.prior.layer, step.grads.model.likelihood, step.grads.posterior.layer)
    for layer in layers:
        assert all(np.any(leaf != 0) for leaf in (layer.location.weight, layer.log_scale.bias))
    for options in ({"k": -1, "prior_k": 1}, {"k": 1, "prior_k": 0}):
        with pytest.raises(UsageError, match="expected"):
            dsivi(**options)
    with pytest.raises(UsageError, match="explicit layer.*of the prior"):
        dsivi(3, 4).check(gaussian.parts())
    with pytest.raises(UsageError, match="density of the prior.*dsivi"):
        sivi(3).check(parts)
