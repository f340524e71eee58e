"""The same texts and the same errors in Python, without the checks that tests add to signatures."""

import pytest

CODE = """
import math
import numpy as np
import tightbound as tb
from tightbound.core.errors import UsageError

x = (np.random.default_rng(0).random((40, 3)) < 0.5).astype(np.float32)
model, posterior = tb.autoencoder(x, latent=1, hidden=(3,))
sizes = dict(epochs=1, batch_size=20)
text = tb.fit(model, posterior, x, objective="iwae(k=3)", optimizer="adam", **sizes)
import optax
made = tb.fit(
    model, posterior, x, objective=tb.objectives.iwae(k=3), optimizer=optax.adam(2e-3), **sizes
)
assert text.history.train_bound == made.history.train_bound
for wrong, words in [
    (lambda: tb.objectives.iwae(1.5), "expected k to be a whole number >= 1, got 1.5"),
    (lambda: tb.objectives.iwae(math.inf), "expected k to be a whole number >= 1, got inf"),
    (lambda: tb.objectives.iwae("a"), "expected k to be a whole number >= 1, got 'a'"),
    (lambda: tb.objectives.iwae(5, 3), "a gradient by name or as an estimator, got 3"),
    (lambda: tb.fit(model, posterior, x, objective="iwea"), "did you mean iwae"),
    (lambda: tb.fit(model, posterior, x, objective="iwae(k=1.5)"), "whole number"),
    (lambda: tb.fit(model, posterior, x, objective="iwae", optimizer="adma"), "did you mean adam"),
    (lambda: tb.evaluate(model, posterior, x, k=20, chunk=1.5), "expected chunk to be a whole"),
    (lambda: tb.autoencoder(x, likelihood="normal"), "did you mean gaussian"),
    (lambda: tb.autoencoder(x * 3 - 1), "likelihood='gaussian' is for values like these"),
]:
    try:
        wrong()
    except UsageError as error:
        assert words in str(error), (words, str(error))
    else:
        raise AssertionError(words)
"""


@pytest.mark.slow
def test_texts_simply_work(script):
    done = script(CODE)
    assert done.returncode == 0, done.stderr
