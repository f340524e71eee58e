"""Draws are counted exactly, and neither chunks, nor batches, nor other data change the result."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import tightbound as tb
from tests.evidence.toys import estimate, keys_of, many_units, pixels, scaled
from tests.oracles.linear_gaussian import data, exact_parts
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError
from tightbound.distributions import AbstractExplicit, StandardNormal
from tightbound.evidence import evaluate, importance
from tightbound.evidence.importance.importance import FIRST
from tightbound.evidence.importance.pareto import tail_length
from tightbound.evidence.importance.tail import widened
from tightbound.evidence.rounding import PATTERNS
from tightbound.models import Model, autoencoder
from tightbound.objectives import Params

ARRAYS = ("log_evidence", "stderr", "ess", "khat", "elbo")


class Watched(AbstractExplicit):
    """A likelihood that shows every z to a function on the host, which answers zeros."""

    inner: AbstractExplicit
    watch: Callable = eqx.field(static=True)

    @property
    def support(self):
        return self.inner.support

    def sample(self, given, *, key):
        return self.inner.sample(given, key=key)

    def log_prob(self, value, given):
        nothing = jax.ShapeDtypeStruct((), jnp.float32)
        zero = jax.pure_callback(self.watch, nothing, given, vmap_method="broadcast_all")
        return self.inner.log_prob(value, given) + zero

    def sample_and_log_prob(self, given, *, key):
        value = self.sample(given, key=key)
        return value, self.log_prob(value, given)

    def mean(self, given):
        return self.inner.mean(given)


@pytest.fixture(scope="module")
def grey():
    """Ten grey images of 30 pixels, a model of them and its posterior."""
    x = np.random.default_rng(5).random((10, 30)).astype(np.float32)
    return (*autoencoder(x, latent=3, hidden=(8,), key=2), x)


@pytest.fixture(scope="module")
def reference(grey):
    model, posterior, x = grey
    return evaluate(model, posterior, x, k=300, chunk=300, batch_size=10)


def assert_same(one, other):
    for name in ARRAYS:
        # k-hat is a fit to the spacings of the largest weights, which magnifies rounding.
        tolerance = 1e-3 if name == "khat" else 1e-5
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=tolerance, atol=tolerance
        )
    assert one.bound_by_k.keys() == other.bound_by_k.keys()
    for j, bound in one.bound_by_k.items():
        np.testing.assert_allclose(bound, other.bound_by_k[j], rtol=1e-5)


@pytest.mark.parametrize(("chunk", "batch_size"), [(7, 7), (100, 1), (1000, 100)])
def test_chunk_and_batch_do_not_matter(grey, reference, chunk, batch_size):
    model, posterior, x = grey
    assert_same(evaluate(model, posterior, x, k=300, chunk=chunk, batch_size=batch_size), reference)


@pytest.mark.slow
def test_one_chunk_or_many_at_hundreds_of_nats():
    # One weight at a time: a sum kept as a logarithm would be rounded 20,000 times by 3e-5.
    parts, x, _ = pixels(2)
    fine, coarse = (estimate(parts, x, k=20_000, chunk=c) for c in (1, 1000))
    np.testing.assert_allclose(fine.log_z, coarse.log_z, atol=1e-4)
    np.testing.assert_allclose(fine.stderr, coarse.stderr, rtol=1e-3)
    np.testing.assert_allclose(fine.ess, coarse.ess, rtol=1e-3)


def test_an_item_depends_on_its_row_and_the_key_alone(grey, reference):
    model, posterior, x = grey
    others = np.concatenate([x[:4], 1 - x[4:]])
    again = evaluate(model, posterior, others, k=300, chunk=300, batch_size=10)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(again, name)[:4], getattr(reference, name)[:4])
        assert np.all(getattr(again, name)[4:] != getattr(reference, name)[4:])
    keyed = evaluate(model, posterior, x, k=300, chunk=300, batch_size=10, key=1)
    assert np.all(keyed.log_evidence != reference.log_evidence)


def test_equal_rows_get_draws_of_their_own():
    parts = scaled(exact_parts(1), 1.5)
    x = np.repeat(data(1), 3, axis=0)
    assert len(set(evaluate(parts.model, parts.posterior, x, k=50).log_evidence.tolist())) == 3


@pytest.mark.parametrize("k", [1, 250, 5000])
def test_decoder_calls_are_counted_exactly(k):
    # Counted on the host: every z that the decoder is given. A last batch that is filled up
    # repeats draws of its last item, so that the different ones are n * k still.
    calls = []

    def watch(z):
        calls.append(np.asarray(z))
        return np.zeros(z.shape[:-1], np.float32)

    parts = exact_parts(1)
    model = Model(parts.model.prior, Watched(parts.model.likelihood, watch))
    ev = evaluate(model, parts.posterior, data(3), k=k, chunk=100, batch_size=2)
    jax.effects_barrier()
    z = np.concatenate([call.reshape(-1, 2) for call in calls])
    # Beside the draws there are the few at which rounding is measured, some of them moved by it;
    # of a single draw the compiler sees that it is the same.
    assert len(z) == 4 * (k + (FIRST if k > 1 else 0) + 1 + PATTERNS)
    assert 3 * k <= len(np.unique(z, axis=0)) <= 3 * (k + PATTERNS)
    assert max(call.size // 2 for call in calls) <= 2 * 100
    for name in ARRAYS:
        assert getattr(ev, name).shape == (3,)


def test_more_draws_keep_the_first_ones():
    parts, x = scaled(exact_parts(1), 0.8, shift=0.3), data(5)
    many = evaluate(parts.model, parts.posterior, x, k=5000, chunk=500)
    assert list(many.bound_by_k) == [1, 5, 50, 500, 5000]
    for k in (50, 500):
        few = evaluate(parts.model, parts.posterior, x, k=k, chunk=500)
        assert list(few.bound_by_k)[-1] == k
        np.testing.assert_allclose(few.mean, many.bound_by_k[k], rtol=1e-6)
        for j, bound in few.bound_by_k.items():
            np.testing.assert_allclose(bound, many.bound_by_k[j], rtol=1e-6)


def test_bounds_are_those_of_the_first_draws_wherever_they_are_asked_for(grey, reference):
    model, posterior, x = grey
    at = [64, 7, 300, 50]
    ev = evaluate(model, posterior, x, k=300, chunk=300, batch_size=10, bounds_at=at, keep=True)
    assert list(ev.bound_by_k) == [1, 5, 7, 50, 64, 300]
    log_w = np.asarray(ev.weighted.log_weights, np.float64)
    for j, bound in ev.bound_by_k.items():
        explicit = special.logsumexp(log_w[:, :j], axis=1) - np.log(j)
        np.testing.assert_allclose(bound, explicit.mean(), rtol=1e-5)
    # Nothing else depends on them, the verdict from the bounds' growth no more than the numbers.
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(ev, name), getattr(reference, name))
    assert ev.judgement == reference.judgement


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((64, 301), r"bounds_at up to k = 300, .* got 301; ask for k=301"),
        ((0,), "each number of bounds_at >= 1, got 0"),
        ((2.5,), r"each number of bounds_at to be a whole number >= 1, got 2\.5"),
        ((True,), "each number of bounds_at to be a whole number"),
        (64, r"bounds_at as a sequence of whole numbers, such as \(64,\), got 64"),
        ("64", "bounds_at as a sequence of whole numbers"),
    ],
)
def test_bounds_at_other_numbers_are_refused_in_words(grey, asked, message):
    model, posterior, x = grey
    with pytest.raises(UsageError, match=message):
        evaluate(model, posterior, x, k=300, bounds_at=asked)


def test_bounds_are_of_importance_sampling_alone(grey):
    model, posterior, x = grey
    with pytest.raises(UsageError, match="give a posterior, or k="):
        evaluate(model, x=x, bounds_at=(64,))
    with pytest.raises(UsageError, match="are for the ways without by="):
        evaluate(model, posterior, x, by=tb.evidence.AIS(temperatures=2), bounds_at=(64,))


class Positive(AbstractExplicit):
    """No density but p(x|z) = 1 where z > 0: log p(x) = log(1/2), and half the weights are zero."""

    limit: float = 0.0

    @property
    def support(self):
        return "real"

    def sample(self, given, *, key):
        return jax.random.normal(key, (1,)) + given

    def log_prob(self, value, given):
        return jnp.where(given[0] > self.limit, 0.0, -jnp.inf)

    def sample_and_log_prob(self, given, *, key):
        value = self.sample(given, key=key)
        return value, self.log_prob(value, given)

    def mean(self, given):
        return given


@pytest.mark.stat
def test_zero_weights_count():
    k = 1000
    prior_as_q = many_units(1, factor=2**0.5, shift=0.0).posterior
    q = eqx.tree_at(lambda q: q.location.weight, prior_as_q, jnp.zeros((1, 1)))
    parts = Params(Model(StandardNormal(1), Positive()), q)
    ev = estimate(parts, np.zeros((400, 1), np.float32), k=k, chunk=37)
    kept = np.round(k * np.exp(ev.log_z.astype(np.float64)))
    assert abs((kept.mean() - k / 2) / (np.sqrt(k) / 2) * 20) < LIMIT
    np.testing.assert_allclose(ev.log_z, np.log(kept / k), atol=1e-5)
    np.testing.assert_allclose(ev.ess, kept, rtol=1e-5)
    stderr = widened(k) * np.sqrt((1 / (kept / k) - 1) / (k - 1))
    np.testing.assert_allclose(ev.stderr, stderr, rtol=1e-4)
    assert np.all(ev.elbo == -np.inf)
    assert set(np.exp(ev.bounds[:, 0]).round(5)) == {0.0, 1.0}
    assert np.all(ev.khat == -np.inf)


def test_weights_that_are_all_zero_give_no_evidence():
    parts = many_units(1, factor=1.0, shift=0.0)
    model = Model(StandardNormal(1), Positive(1e9))
    ev = evaluate(model, parts.posterior, np.zeros((2, 1), np.float32), k=100)
    assert np.all(ev.log_evidence == -np.inf)
    assert np.all(np.isnan(ev.khat))
    assert np.all(np.isnan(ev.stderr))
    assert ev.verdict == "do not trust"
    assert ev.verdicts == ("do not trust",) * 2
    assert list(ev.result) == [2, 2]
    assert isinstance(ev.summary(), str)


def test_a_huge_late_weight_does_not_erase_the_early_bounds():
    # The first 50 draws are 200 nats below the rest: their sum must not underflow.
    class Late(Positive):
        def log_prob(self, value, given):
            return jnp.where(given[0] > 2.5, 0.0, -200.0)

    parts = many_units(1, factor=2**0.5, shift=0.0)
    q = eqx.tree_at(lambda q: q.location.weight, parts.posterior, jnp.zeros((1, 1)))
    late = Params(Model(StandardNormal(1), Late()), q)
    ev = estimate(late, np.zeros((20, 1), np.float32), k=2000, chunk=500)
    assert np.all(ev.log_z > -10)
    first = ev.bounds[:, 0]
    assert np.any(first < -150)
    np.testing.assert_allclose(first[first < -150], -200, atol=1e-3)


@pytest.mark.slow
def test_memory_does_not_grow_with_k():
    parts, n = exact_parts(1), 4
    x, keys = jnp.asarray(data(n)), keys_of(n)

    compiled: Any = importance  # with the methods that filter_jit adds

    def temporary(k):
        program = compiled.lower(parts.model, parts.posterior, x, keys, k=k, chunk=100).compile()
        return program.compiled.memory_analysis().temp_size_in_bytes

    tails = 4 * n * (tail_length(50_000) - tail_length(5000))
    # Only the tails of the largest weights grow, and with them what the jackknife makes of them.
    assert temporary(50_000) - temporary(5000) < 5 * tails
