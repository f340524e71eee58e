"""The signal-to-noise ratio of gradients against NumPy on the same gradients, and its rates.

False alarms: the rates are those of Rainforth et al. (2018), theorem 1, on a linear-Gaussian model;
each slope's standard error is below 0.05 over 4,000 gradients, and the tolerance 0.25. Where the
ratio falls it is small: the slope's error was 0.25 over 4,000, 0.09 over 20,000 (four keys), and is
0.06 or so over 40,000.
"""

import equinox as eqx
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from tests import once
from tests.laws import runs
from tests.laws.runs import EXACT, WRONG

from tightbound.core.errors import UsageError
from tightbound.core.streams import as_key, first_keys, numbered, stream
from tightbound.diagnostics import gradient_snr
from tightbound.objectives import iwae, miwae


@pytest.mark.parametrize("batch_size", [4])
def test_it_is_the_mean_and_deviation_of_the_gradients(batch_size):
    parts, (x, _) = runs.parts_of(WRONG, 1), runs.batch(3)
    found = gradient_snr(iwae(4), *parts, np.asarray(x), replicas=10, key=5, batch_size=batch_size)
    rows, step = (
        {"model": [], "posterior": []},
        once.compiled(iwae(4)),
    )
    root = stream(as_key(5), "gradient_snr.draws")
    for replica in range(10):
        keys = first_keys(numbered(root, replica), 3)
        grads = step(parts, x, keys).grads
        for name, part in rows.items():
            part.append(np.asarray(ravel_pytree(getattr(grads, name))[0], np.float64))
    for name, part in rows.items():
        g = np.stack(part)
        mean = g.mean(axis=0)
        np.testing.assert_allclose(found[name].mean, mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[name].deviation, g.std(axis=0, ddof=1), rtol=1e-3)
        unit = mean / np.linalg.norm(mean)
        along = g @ unit
        across = np.linalg.norm(g - along[:, None] * unit, axis=1)
        np.testing.assert_allclose(found[name].directional, np.mean(np.abs(along) / across), 1e-3)
        np.testing.assert_allclose(found[name].snr, np.abs(mean) / g.std(axis=0, ddof=1), 2e-3)


def wider():
    """A posterior off the exact one and wider than it: all moments of the weights are finite."""
    exact = runs.parts_of(EXACT, 1)
    moved = eqx.tree_at(
        lambda q: (q.location.bias, q.log_scale.bias),
        exact.posterior,
        (exact.posterior.location.bias + 0.2, exact.posterior.log_scale.bias + 0.3),
    )
    return exact._replace(posterior=moved)


def slopes(make, sizes, replicas):
    parts, (x, _) = wider(), runs.batch(1)
    snr = {"model": [], "posterior": []}
    for size in sizes:
        found = gradient_snr(make(size), *parts, np.asarray(x), replicas=replicas, batch_size=500)
        for name, signal in found.items():
            squared = signal.snr**2 - 1 / replicas  # without the bias of a squared mean
            snr[name].append(0.5 * np.log(np.nanmean(squared)))
    return {name: np.polyfit(np.log(sizes), logs, 1)[0] for name, logs in snr.items()}


@pytest.mark.slow
@pytest.mark.stat
@pytest.mark.parametrize(
    ("make", "sizes", "replicas", "model", "posterior"),
    [
        (iwae, (16, 128), 40_000, 0.5, -0.5),
        (lambda k: iwae(k, "dreg"), (16, 128), 4000, 0.5, 0.5),
        (lambda m: miwae(m, 4), (2, 16), 4000, 0.5, 0.5),
    ],
    ids=["k", "k with dreg", "m"],
)
def test_the_rates_are_those_of_rainforth_et_al(make, sizes, replicas, model, posterior):
    found = slopes(make, sizes, replicas)
    assert abs(found["model"] - model) < 0.25
    assert abs(found["posterior"] - posterior) < 0.25


def test_one_replica_is_refused():
    parts, (x, _) = runs.parts_of(WRONG, 1), runs.batch(1)
    with pytest.raises(UsageError, match="replicas >= 2, got 1"):
        gradient_snr(iwae(2), *parts, np.asarray(x), replicas=1)
