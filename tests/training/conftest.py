"""A toy objective whose training is known in closed form, and what several tests need."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tightbound.core.streams import as_key, numbered, stream
from tightbound.data.order import items_at
from tightbound.objectives import AbstractObjective, Params, Step
from tightbound.training.epoch import Keys
from tightbound.training.loop import Loop


class Pull(AbstractObjective):
    """-|c - x|^2 / 2 with c the likelihood's location bias: descent pulls c to the items' mean.

    An item whose first value is 1000 makes the quantity named by `fault` not finite.
    """

    fault: str = eqx.field(static=True, default="")
    noisy: bool = eqx.field(static=True, default=False)
    name: ClassVar[str] = "pull"
    reference: ClassVar[str] = "none"

    @property
    def kind(self):
        return "lower"

    @property
    def description(self):
        return "pull()"

    def check(self, parts):
        del parts

    def bound(self, parts, state, items, keys):
        x = items.x

        def one(x, key):
            bound = -0.5 * jnp.sum((parts.model.likelihood.location.bias - x) ** 2)
            if self.noisy:
                bound = bound + jax.random.normal(key)
            sound = jnp.where(x[0] == 1000, 0.0, 1.0)
            if self.fault == "bound":
                return bound + jnp.log(sound)
            if self.fault == "posterior":  # the root's value is finite, its slope is not
                return bound + jnp.sqrt(sound * jnp.exp(parts.posterior.location.bias[0]))
            return bound

        return jax.vmap(one)(x, keys)

    def step(self, parts, state, items, keys):
        def loss(parts):
            bound = self.bound(parts, state, items, keys)
            return -jnp.mean(bound), bound

        (_, bound), grads = eqx.filter_value_and_grad(loss, has_aux=True)(parts)
        return Step(grads, bound), state


@pytest.fixture(scope="session")
def pull():
    return Pull


@pytest.fixture(scope="session")
def toy():
    """Parts for `Pull` with 3 real columns; c starts at zero."""
    return Params(
        *tb.autoencoder(np.zeros((2, 3), np.float32), latent=1, hidden=(), likelihood="gaussian")
    )


@pytest.fixture(scope="session")
def centre():
    """The parameter that `Pull` moves."""
    return lambda parts: np.asarray(parts.model.likelihood.location.bias)


@pytest.fixture(scope="session")
def streams():
    """The keys of one replica of a run with that seed, as `fit` derives them."""

    def derive(seed, replica=0):
        return Keys.of(numbered(stream(as_key(seed), "fit.replicas"), replica))

    return derive


@pytest.fixture(scope="session")
def descend():
    """c after each step of plain gradient descent on `Pull`, in float64: (steps, d)."""

    def path(train, order, *, rate, batch_size, steps):
        c, passed = np.zeros(train.shape[1]), []
        for step in range(steps):
            items = np.asarray(items_at(order, step, len(train), batch_size))
            c = c - rate * (c - train[items].astype(np.float64).mean(0))
            passed.append(c)
        return np.array(passed)

    return path


@pytest.fixture
def states(monkeypatch):
    """The whole state after each epoch of any run of the test, on the host."""
    seen = []
    run_epoch = Loop.epoch

    def epoch(self, state, number):
        state, metrics = run_epoch(self, state, number)
        seen.append(jax.device_get(state))
        return state, metrics

    monkeypatch.setattr(Loop, "epoch", epoch)
    return seen


@pytest.fixture(scope="session")
def same_bits():
    """Asserts that two trees have the same structure and the same bits in every array."""

    def check(one, other):
        assert jax.tree.structure(one) == jax.tree.structure(other)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            a, b = np.asarray(a), np.asarray(b)
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())

    return check


@pytest.fixture(scope="session")
def folder_bytes():
    """All files below a folder, with their contents."""
    return lambda root: {
        path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
