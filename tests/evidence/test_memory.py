"""What chains from one start have in common, against an autoregressive law where it is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from tightbound.evidence.annealing.memory import shared


def test_is_a_bound_on_what_an_autoregressive_chain_keeps_of_its_start():
    # tilt has variance 4 and after j transitions the correlation r^j with its start: given that
    # start its variance is 4 (1 - r^2j), and the sum of means has the deviation sum g 2 r^j. The
    # first step counts in full.
    steps, r = 12, 0.6
    betas = np.linspace(0, 1, steps + 1)
    j = np.arange(steps, 0, -1)  # transitions before each weight
    deviation = 2 * np.sqrt(1 - r ** (2 * j))
    found = shared(jnp.asarray(betas), jnp.full(steps, 2.0), jnp.asarray(deviation)[:, None])
    kept = r**j > np.sqrt(0.02)
    expected = (2 * r**j * kept / steps).sum() + 2 * (1 - r) / steps
    np.testing.assert_allclose(found, [expected], rtol=1e-5)
    true = (2 * r**j / steps).sum()
    assert true < found[0] < 1.5 * true


def test_ends_where_nothing_is_remembered_and_knows_filling():
    usual = jnp.ones(6)
    betas = jnp.asarray([0.0, 0.2, 0.5, 0.8, 1.0, 1.0, 1.0])
    deviation = jnp.asarray([0.1, 1.0, 0.6, 0.5, 0.0, 0.0])[:, None]
    # From the last: 0.2 in full, then 0.3 * sqrt(1 - 0.36); then all is forgotten.
    assert shared(betas, usual, deviation)[0] == pytest.approx(0.2 + 0.3 * 0.8, rel=1e-5)
    # Two data differ.
    both = jnp.concatenate([deviation, jnp.ones((6, 1))], axis=1)
    np.testing.assert_allclose(shared(betas, usual, both), [0.44, 0.2], rtol=1e-5)
