"""Tables of which the truth is known, and a count of compilations."""

from contextlib import contextmanager

import jax
import numpy as np
import pytest

MEAN = np.array([1.0, -2.0, 0.5])
COVARIANCE = np.array([[1.0, 0.6, 0.2], [0.6, 0.9, -0.3], [0.2, -0.3, 1.4]])


def gaussian(n, *, seed=0, holes=0.0):
    """Draws of a known normal, of which some values are hidden."""
    rng = np.random.default_rng(seed)
    x = rng.multivariate_normal(MEAN, COVARIANCE, n)
    return np.where(rng.random(x.shape) < holes, np.nan, x)


def mixed(n=60, *, seed=0):
    """Columns of a frame: words, numbers, categories, counts, one value alone; with holes."""
    rng = np.random.default_rng(seed)
    size = rng.choice(["S", "M", "L"], n)
    height = np.round(rng.normal(10, 2, n) + 3 * (size == "L"), 2)
    columns = {
        "size": list(size),
        "height": height.tolist(),
        "fir": list(rng.choice(["no", "yes"], n)),
        "cones": rng.poisson(4, n).tolist(),
        "wood": ["Black Forest"] * n,
    }
    for name in columns:
        for row in rng.choice(n, n // 6, replace=False):
            columns[name][row] = None
    return columns


@pytest.fixture
def compilations():
    """A context that counts the programs which are compiled within it."""
    count = 0

    def listen(event, duration, **_):
        nonlocal count
        count += event.endswith("backend_compile_duration")

    @contextmanager
    def counted():
        nonlocal count
        count = 0
        yield lambda: count

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield counted
    jax.monitoring.unregister_event_duration_listener(listen)
