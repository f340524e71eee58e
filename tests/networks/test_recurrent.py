"""Gated recurrent units against their equations, step by step in NumPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tightbound.networks import Recurrent


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(network, x, live):
    size = network.size
    w, u = (np.asarray(of.weight, np.float64) for of in (network.inputs, network.states))
    b, c = (np.asarray(of.bias, np.float64) for of in (network.inputs, network.states))
    x = np.asarray(x, np.float64)
    state, found = np.zeros(size), np.zeros((len(x), size))
    order = range(len(x))
    for t in reversed(order) if network.backwards else order:
        of_x, of_state = np.split(x[t] @ w + b, 3), np.split(state @ u + c, 3)
        reset, update = (sigmoid(of_x[i] + of_state[i]) for i in (0, 1))
        proposal = np.tanh(of_x[2] + reset * of_state[2])
        if live[t]:
            state = update * state + (1 - update) * proposal
        found[t] = state
    return found


@pytest.mark.parametrize("backwards", [False, True])
def test_states_are_those_of_the_equations_and_steps_that_are_not_live_move_none(backwards):
    network = Recurrent.glorot(3, 4, backwards=backwards, key=jax.random.key(0))
    biases = lambda n: (n.inputs.bias, n.states.bias)  # noqa: E731
    moved = tuple(jax.random.normal(jax.random.key(i), (12,)) for i in (1, 2))
    network = eqx.tree_at(biases, network, moved)
    x = jax.random.normal(jax.random.key(3), (6, 3))
    live = jnp.array([True, True, False, True, False, False])
    np.testing.assert_allclose(network(x, live), by_hand(network, x, live), atol=1e-6)
    np.testing.assert_allclose(network(x), by_hand(network, x, [True] * 6), atol=1e-6)
