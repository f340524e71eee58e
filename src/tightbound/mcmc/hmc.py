"""Hamiltonian Monte Carlo for one posterior p(z|x), with a step size that is tuned on the way.

The kernel is BlackJAX's: leapfrog steps of one length and a Metropolis test at the end, which
leaves p(z|x) as it is for any step size. z may be one array or a tuple of layers.

Reference: Neal 2011, arXiv 1206.1901; tuning as Robbins & Monro 1951: the logarithm of the step
size rises with each acceptance above the target and falls with each below it.
Bias: none for a fixed step size, once the chain has reached p(z|x). While the step size follows
the chain's own acceptances that is so in the limit of small changes only.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least

LogDensity = Callable[[Any], Float[Array, ""]]


def check_moves(prior: Any, what: str) -> None:
    """Refuses latent variables that Hamiltonian dynamics cannot move.

    Raises:
        UsageError: A prior on something else than all real numbers.
    """
    if prior.support != "real":
        raise UsageError(
            f"{what} moves z by Hamiltonian dynamics: expected a prior on all real numbers, got "
            f"{type(prior).__name__} with {prior.support} values"
        )


def check_tuning(*, leapfrog: int, acceptance: float) -> None:
    """Refuses settings of transitions that cannot be tuned.

    Raises:
        UsageError: leapfrog < 1, or an acceptance that is not between 0 and 1.
    """
    at_least(1, leapfrog=leapfrog)
    if not 0 < acceptance < 1:
        raise UsageError(f"expected acceptance between 0 and 1, got {acceptance}")


def transition(
    log_density: LogDensity,
    z: Any,
    step_size: Float[Array, ""],
    *,
    leapfrog: int,
    key: PRNGKeyArray,
) -> tuple[Any, Float[Array, ""]]:
    """One transition: the next z, and the probability with which its proposal was accepted.

    Args:
        log_density: Log p(x, z) in nats as a function of z, up to a constant.
        z: Where the chain is.
        step_size: Length of a leapfrog step.
        leapfrog: Number of leapfrog steps.
        key: Key of momentum and acceptance.
    """
    # Here, since BlackJAX takes a second to import, and few runs need it.
    from blackjax.mcmc import hmc

    size = sum(leaf.size for leaf in jax.tree.leaves(z))
    kernel: Any = hmc.build_kernel()  # whose types say float where arrays are meant
    state = hmc.init(z, log_density)
    unit = jnp.ones(size, step_size.dtype)
    state, info = kernel(key, state, log_density, step_size, unit, leapfrog)
    return state.position, info.acceptance_rate


def adapted(
    log_step: Float[Array, ""],
    acceptance: Float[Array, ""],
    *,
    target: float,
    rate: float | Float[Array, ""],
) -> Float[Array, ""]:
    """The logarithm of the step size after an acceptance probability has been seen."""
    return log_step + rate * (acceptance - target)


class Visited(NamedTuple):
    """Where a chain has been."""

    last: Any
    states: Any
    """After each transition: a leading axis t."""


def chain(
    log_density: LogDensity,
    z: Any,
    keys: Key[Array, " t"],
    *,
    leapfrog: int,
    target: float,
    step_size: float = 0.1,
) -> Visited:
    """Where a chain from z has been after one transition for each key.

    Over the first half the step size is tuned, fast at first (at a rate of t^-0.5 after t
    transitions); over the second half it stays as it is, so that those transitions are exact.
    """
    count = keys.shape[0]

    def move(carry: tuple[Any, Float[Array, ""]], turn: Any) -> tuple[Any, Any]:
        z, log_step = carry
        number, key = turn
        z, acceptance = transition(log_density, z, jnp.exp(log_step), leapfrog=leapfrog, key=key)
        after = adapted(log_step, acceptance, target=target, rate=(number + 1.0) ** -0.5)
        return (z, jnp.where(number < count / 2, after, log_step)), z

    start = jnp.asarray(jnp.log(step_size), jax.tree.leaves(z)[0].dtype)
    turns = (jnp.arange(count, dtype=start.dtype), keys)
    (z, _), states = jax.lax.scan(move, (z, start), turns)
    return Visited(z, states)


def between(values: Float[Array, "c t"]) -> Float[Array, ""]:
    """The share of the variance of c chains that lies between the means of t states of each.

    It is 1 over the effective draws that each chain gave: near 1 chains stand where they began,
    near 1 / t they have forgotten it from one state to the next. R-hat is sqrt(1 / (1 - share)) for
    long chains; many short ones ask for no more than this (Margossian et al. 2022, arXiv
    2110.13017). NaN for one state, or where nothing varies.
    """
    t = values.shape[1]
    means = jnp.var(jnp.mean(values, axis=1), ddof=1)
    within = jnp.mean(jnp.var(values, axis=1, ddof=1)) if t > 1 else jnp.nan
    return means / (within * (t - 1) / t + means)
