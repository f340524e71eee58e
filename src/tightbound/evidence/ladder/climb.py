"""Climbs to the modes of a density, all starts together, by one gradient a step.

Quasi-Newton steps (BFGS) inside a radius that grows with success and shrinks with failure; a step
that does not rise is not taken, and teaches the curvature all the same.

Reference: Nocedal & Wright 2006, Numerical Optimization, eq. 6.17 (the inverse Hessian) and
algorithm 4.1 (the radius).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from tightbound.core.compilation import filter_jit
from tightbound.evidence.ladder.units import Units

STEPS = 60
GAIN = 1e-2
"""A climb is at its end where a full step promises no more, in nats."""
RISE = 1e-4
"""Least share of what the slope promises, for a step to be taken."""
SMALLEST = 1e-6
"""A radius below which nothing moves."""


class Climbs(NamedTuple):
    """Where s climbs have been, start first; points that were not reached are -inf."""

    u: Float[Array, "t s d"]
    log_density: Float[Array, "t s"]
    arrived: Bool[Array, " s"]
    steps: Int[Array, ""]
    """Of the longest of them: all take as many gradients."""


class _At(NamedTuple):
    """One climb."""

    u: Float[Array, " d"]
    value: Float[Array, ""]
    slope: Float[Array, " d"]
    inverse: Float[Array, "d d"]
    """Of the negative Hessian, as far as it is known: 1 in directions that were not gone."""
    radius: Float[Array, ""]
    arrived: Bool[Array, ""]


@filter_jit
def climb(units: Units, starts: Float[Array, "s d"]) -> Climbs:
    """Climbs from each start, for at most `STEPS` steps."""

    def valued(u: Float[Array, " d"]) -> tuple[Any, Any, Any]:
        value, slope = jax.value_and_grad(units.log_density)(u)
        good = jnp.isfinite(value) & jnp.all(jnp.isfinite(slope))
        return jnp.where(good, value, -jnp.inf), jnp.where(good, slope, 0.0), good

    def begin(u: Float[Array, " d"]) -> _At:
        value, slope, good = valued(u)
        one = jnp.ones([], u.dtype)
        return _At(u, value, slope, jnp.eye(u.shape[0]), one, ~good)

    def move(at: _At) -> _At:
        step, promised = _proposed(at)
        arrived = at.arrived | (promised / 2 < GAIN) | (at.radius < SMALLEST)
        size = jnp.linalg.norm(step)
        shrunk = jnp.minimum(1.0, at.radius / jnp.maximum(size, jnp.finfo(size.dtype).tiny))
        step, promised, size = step * shrunk, promised * shrunk, size * shrunk
        value, slope, good = valued(at.u + step)
        gain = value - at.value
        taken = good & (gain >= RISE * promised)
        inverse = _curvature(at, step, at.slope - slope, good)
        wider = jnp.where(gain > promised / 4, jnp.maximum(at.radius, 2 * size), at.radius)
        after = _At(
            jnp.where(taken, at.u + step, at.u),
            jnp.where(taken, value, at.value),
            jnp.where(taken, slope, at.slope),
            inverse,
            jnp.where(taken, wider, 0.3 * size),
            at.arrived,
        )
        at = at._replace(arrived=arrived)
        return jax.tree.map(lambda stay, go: jnp.where(arrived, stay, go), at, after)

    first = jax.vmap(begin)(starts)
    s, d = starts.shape
    path = jnp.zeros((STEPS + 1, s, d)).at[0].set(first.u)
    heights = jnp.full((STEPS + 1, s), -jnp.inf).at[0].set(first.value)

    def go_on(state: Any) -> Bool[Array, ""]:
        number, at, _, _ = state
        return (number < STEPS) & jnp.any(~at.arrived)

    def turn(state: Any) -> Any:
        number, at, path, heights = state
        at, number = jax.vmap(move)(at), number + 1
        return number, at, path.at[number].set(at.u), heights.at[number].set(at.value)

    steps, last, path, heights = jax.lax.while_loop(go_on, turn, (0, first, path, heights))
    return Climbs(path, heights, last.arrived, jnp.asarray(steps))


def _proposed(at: _At) -> tuple[Float[Array, " d"], Float[Array, ""]]:
    """The full step, and what the slope promises of it; along the slope if that is negative."""
    step = at.inverse @ at.slope
    promised = step @ at.slope
    upwards = promised > 0
    step = jnp.where(upwards, step, at.slope)
    return step, jnp.where(upwards, promised, at.slope @ at.slope)


def _curvature(
    at: _At, step: Float[Array, " d"], change: Float[Array, " d"], good: Bool[Array, ""]
) -> Float[Array, "d d"]:
    """The inverse after a step has changed the slope."""
    along = change @ step
    learnt = good & (along > 1e-6 * jnp.linalg.norm(step) * jnp.linalg.norm(change))
    safe = jnp.where(learnt, along, 1.0)
    moved = at.inverse @ change
    cross = jnp.outer(step, moved)
    own = (1 + change @ moved / safe) * jnp.outer(step, step)
    after = at.inverse + (own - cross - cross.T) / safe
    return jnp.where(learnt & jnp.all(jnp.isfinite(after)), after, at.inverse)
