"""Swept covariances against inverses."""

import jax.numpy as jnp
import numpy as np
import pytest

from tightbound.training import components


@pytest.mark.parametrize("d", [1, 5, 40])
def test_swept_covariances_are_regressions_of_what_is_missing_on_what_is_known(d):
    rng = np.random.default_rng(d)
    factor = rng.normal(size=(d, d + 4))
    s = factor @ factor.T / d
    known = rng.random((d, 6)) < 0.6
    known[:, 0], known[:, 1] = True, False
    swept, log_volume = components.swept(jnp.asarray(s, jnp.float32), jnp.asarray(known, float))
    for pattern, o in enumerate(known.T):
        m, found = ~o, np.asarray(swept[:, :, pattern], np.float64)
        inverse = np.linalg.inv(s[np.ix_(o, o)])
        regression = inverse @ s[np.ix_(o, m)]
        close = {"rtol": 1e-3, "atol": 1e-3 * np.abs(inverse).max(initial=1.0)}
        np.testing.assert_allclose(found[np.ix_(o, o)], -inverse, **close)
        np.testing.assert_allclose(found[np.ix_(o, m)], regression, **close)
        np.testing.assert_allclose(found[np.ix_(m, o)], regression.T, **close)
        left = s[np.ix_(m, m)] - s[np.ix_(m, o)] @ regression
        np.testing.assert_allclose(found[np.ix_(m, m)], left, **close)
        np.testing.assert_allclose(
            log_volume[pattern], np.linalg.slogdet(s[np.ix_(o, o)])[1], rtol=1e-4, atol=1e-3
        )
