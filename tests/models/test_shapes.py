"""Items of any shape: images as they are, models of shaped items, and own networks of either."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.distributions import AbstractExplicit, StandardNormal
from tightbound.models import Model

X = np.random.default_rng(0).random((12, 4, 3)).astype(np.float32)
FLAT = X.reshape(12, 12)


class Rows(eqx.Module):
    """An encoder that knows rows from columns."""

    weight: jax.Array

    def __call__(self, image):
        assert image.shape == (4, 3)
        return jnp.tanh(self.weight @ jnp.sum(image, axis=1))


class Image(AbstractExplicit):
    """N(z_1 + z_2 * row, 1) for every entry of a 4 x 3 item."""

    @property
    def support(self):
        return "real"

    def mean(self, given):
        return given[0] + given[1] * jnp.arange(4.0)[:, None] * jnp.ones((4, 3))

    def sample(self, given, *, key):
        return self.mean(given) + jax.random.normal(key, (4, 3))

    def log_prob(self, value, given):
        return jnp.sum(self.log_prob_each(value, given))

    def log_prob_each(self, value, given):
        return jax.scipy.stats.norm.logpdf(value, self.mean(given))


class Prior(StandardNormal):
    """q(z|x) that ignores x."""


@pytest.mark.slow
def test_shaped_data_are_rows_of_a_dense_model():
    parts = [tb.autoencoder(x, latent=2, hidden=(3,)) for x in (X, FLAT)]
    runs = [
        tb.fit(*parts[0], x, objective="elbo", batch_size=6, epochs=1).history[-1].train_bound
        for x in (X, FLAT)
    ]
    assert runs[0] == runs[1]
    assert jax.tree.all(jax.tree.map(np.array_equal, *(jax.tree.leaves(p) for p in parts)))
    found = [tb.evaluate(*parts[0], x, k=4).log_evidence for x in (X, FLAT)]
    np.testing.assert_array_equal(*found)


def test_an_encoder_sees_items_as_the_data_have_them():
    encoder = Rows(jnp.ones((5, 4)))
    model, posterior = tb.autoencoder(X, latent=2, hidden=(3,), encoder=encoder)
    run = tb.fit(model, posterior, X, objective="elbo", batch_size=6, epochs=1)
    assert np.isfinite(tb.evaluate(run.model, run.posterior, X, k=4).log_evidence).all()


def test_a_model_of_shaped_items_has_the_evidence_of_its_density():
    model, x = Model(StandardNormal(2), Image()), 3 * X
    x[0, 1, 2] = np.nan
    design = np.stack([np.ones(12), np.repeat(np.arange(4.0), 3)], axis=1)
    cov = design @ design.T + np.eye(12)
    expected = []
    for row in x.reshape(12, 12).astype(np.float64):
        known = ~np.isnan(row)
        block, row = cov[np.ix_(known, known)], row[known]
        _, log_det = np.linalg.slogdet(2 * np.pi * block)
        expected.append(-0.5 * (row @ np.linalg.solve(block, row) + log_det))
    for given in (x, x.reshape(12, 12)):
        found = tb.evidence.exact(model, given, points=127).log_evidence
        np.testing.assert_allclose(found, expected, atol=1e-5)
    run = tb.fit(model, Prior(2), x, objective="iwae(k=2)", batch_size=6, epochs=1)
    assert np.isfinite(run.history[-1].train_bound).all()


def test_items_of_another_size_are_refused():
    model = Model(StandardNormal(2), Image())
    with pytest.raises(UsageError, match=r"expected items of shape \(4, 3\) .*, got \(3, 3\)"):
        tb.evaluate(model, Prior(2), X[:, 1:], k=2)
