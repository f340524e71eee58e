"""Adjoints against finite differences of the whole inner solve, and the memory they take."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tightbound.adjoints import FirstOrder, Inner, Truncated, Unrolled
from tightbound.core.errors import UsageError

OPTIMIZER = optax.adam(0.05, b1=0.5, eps_root=1e-10)


def problem(size=3, dtype=jnp.float32):
    """An inner loss in two layers whose minimum depends on the parts, and an outer one."""
    target = jax.random.normal(jax.random.key(0), (20, size), dtype)

    def inner_loss(parts, aux, number):
        noise = jax.random.normal(jax.random.fold_in(jax.random.key(1), number), (size,), dtype)
        predicted = jnp.tanh(target @ aux["a"]) @ aux["b"]
        return jnp.mean((predicted - jnp.sin(target @ (parts + 0.1 * noise))) ** 2)

    def outer(aux, parts):
        return jnp.sum(jnp.cos(aux["a"])) + jnp.sum(aux["b"] ** 2) + jnp.sum(parts**3)

    first, second = jax.random.split(jax.random.key(2))
    aux = {
        "a": jax.random.normal(first, (size, 4), dtype),
        "b": jax.random.normal(second, (4,), dtype),
    }
    return (
        inner_loss,
        outer,
        Inner(aux, OPTIMIZER.init(aux)),
        jnp.arange(1.0, size + 1, dtype=dtype),
    )


def hypergradient(adjoint, inner_loss, outer, inner, parts):
    return jax.grad(
        lambda parts: outer(adjoint.solve(inner_loss, parts, inner, OPTIMIZER).aux, parts)
    )(parts)


@pytest.mark.parametrize("adjoint", [Unrolled(7)])
def test_the_unrolled_gradient_is_that_of_the_whole_inner_solve(adjoint):
    with jax.enable_x64(True):
        inner_loss, outer, inner, parts = problem(dtype=jnp.float64)
        solve = jax.jit(
            lambda parts: outer(adjoint.solve(inner_loss, parts, inner, OPTIMIZER).aux, parts)
        )
        moves = 1e-6 * np.eye(3)
        differences = [float(solve(parts + m) - solve(parts - m)) / 2e-6 for m in moves]
        gradient = hypergradient(adjoint, inner_loss, outer, inner, parts)
        alone = hypergradient(FirstOrder(7), inner_loss, outer, inner, parts)
        np.testing.assert_allclose(gradient, differences, rtol=1e-6)
        assert np.abs(np.asarray(gradient) - np.asarray(alone)).max() > 1e-3


def test_the_first_order_gradient_takes_the_solution_as_given():
    inner_loss, outer, inner, parts = problem()
    gradient = hypergradient(FirstOrder(5), inner_loss, outer, inner, parts)
    np.testing.assert_allclose(gradient, 3 * np.asarray(parts) ** 2, rtol=1e-6)


def test_all_of_them_find_the_same_solution():
    inner_loss, _, inner, parts = problem()
    found = [
        adjoint.solve(inner_loss, parts, inner, OPTIMIZER)
        for adjoint in (FirstOrder(10), Unrolled(10), Truncated(10, 3))
    ]
    for other in found[1:]:
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), found[0], other
        )


@pytest.mark.slow
def test_the_truncated_gradient_sees_the_last_steps_alone():
    inner_loss, outer, inner, parts = problem()
    middle = FirstOrder(4).solve(inner_loss, parts, inner, OPTIMIZER)
    late = hypergradient(Unrolled(3), lambda p, a, i: inner_loss(p, a, i + 4), outer, middle, parts)
    gradient = hypergradient(Truncated(7, 3), inner_loss, outer, inner, parts)
    np.testing.assert_allclose(gradient, late, rtol=1e-5)


@pytest.mark.slow
def test_memory_grows_as_the_square_root_of_the_steps():
    def temporary(steps):
        inner_loss, outer, inner, parts = problem(size=200)
        compiled = (
            jax.jit(lambda parts: hypergradient(Unrolled(steps), inner_loss, outer, inner, parts))
            .lower(parts)
            .compile()
        )
        return compiled.memory_analysis().temp_size_in_bytes

    few, more, many = temporary(16), temporary(256), temporary(4096)
    # Sixteen times as many steps: four times the memory, and no more.
    assert 2 < (many - few) / (more - few) < 6


def test_more_last_steps_than_steps_are_refused():
    with pytest.raises(UsageError, match="last from 1 to steps=3, got 4"):
        Truncated(3, 4)
