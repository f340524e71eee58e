"""Fits of the same kind share a compiled program, and others do not."""

import jax
import numpy as np
import pytest

import tightbound as tb

X = np.random.default_rng(0).random((40, 3), np.float32)


def fitted(key, **options):
    model, q = tb.autoencoder(X, latent=options.pop("latent", 1), hidden=(4,), key=key)
    how = {"objective": "elbo()", "optimizer": "adam(learning_rate=0.01)"} | options
    return tb.fit(model, q, X, epochs=1, batch_size=20, key=key, progress=False, **how)


@pytest.fixture
def compilations():
    found = []

    def listen(event, duration, **_):
        if event.endswith("backend_compile_duration"):
            found.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


def test_a_second_fit_of_equal_shapes_compiles_nothing(compilations):
    first = fitted(0)
    assert compilations
    compilations.clear()
    second = fitted(1)
    assert compilations == []
    assert first.history[-1].train_bound != second.history[-1].train_bound


@pytest.mark.parametrize(
    "other",
    [{"latent": 2}, {"objective": "iwae(k=2)"}, {"optimizer": "adam(learning_rate=0.1)"},
     {"average": 0.9}],
)  # fmt: skip
def test_what_differs_has_a_program_of_its_own(compilations, other):
    fitted(0)
    compilations.clear()
    fitted(0, **other)
    assert compilations
    again = fitted(0)
    assert again.history[-1].train_bound == fitted(0).history[-1].train_bound
