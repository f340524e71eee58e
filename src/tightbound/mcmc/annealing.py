"""Annealed importance sampling along the path log f_b(z) = base(z) + b * tilt(z), b from 0 to 1.

base is the log-density of where chains start (a prior or a posterior), base + tilt the target's.
Step sizes belong to temperatures: they are tuned on pilot chains and then frozen, without which
the weights would not be unbiased.

Reference: Neal 2001, Stat. Comput. 11; Wu, Burda, Salakhutdinov & Grosse 2016, arXiv 1611.04273,
section 2.2 (forward), section 2.3 (backward, from an exact draw of the target) and their code (the
sigmoid schedule). Gelman & Meng 1998, Stat. Sci. 13(2): the best spacing of temperatures is even
in the path's length, the integral of the standard deviation of tilt.
Bias: E[exp(forward)] = Z and E[exp(backward)] = 1 / Z for any schedule and step sizes that do not
depend on the chains themselves.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import numbered, stream
from tightbound.mcmc.hmc import adapted, transition

SCHEDULES = ("sigmoid", "linear", "adaptive")
DELTA = 4.0
"""Steepness of the sigmoid schedule."""
FIRST_STEP = 0.1
RATES = (1.0, 0.3)
"""Changes of the step size's logarithm per unit of acceptance in the pilot passes."""


class Path(NamedTuple):
    """A schedule with its frozen step sizes; what lies beyond `length` is filling.

    Programs are compiled for the length of the arrays, and run for as many steps.
    """

    betas: Float[Array, " t_and_start"]
    """Inverse temperatures from 0 to 1."""
    step_sizes: Float[Array, " t"]
    """Length of a leapfrog step at each of them but the first."""
    length: Int[Array, ""] | int
    """Steps."""


class Problem(NamedTuple):
    """What is annealed, for one datum; `given` is the datum, or None where there is none."""

    start: Callable[[Any, PRNGKeyArray], Any]
    """A draw z of exp(base)."""
    base: Callable[[Any, Any], Float[Array, ""]]
    """(given, z) to log-density of the start in nats."""
    tilt: Callable[[Any, Any], Float[Array, ""]]
    """(given, z) to log-density of the target less that of the start, in nats."""


class Passed(NamedTuple):
    """Chains that went along the path; arrays over data n, chains c and temperatures t."""

    log_w: Float[Array, "n c"]
    z: Any
    acceptance: Float[Array, "t n"]
    """Mean over a datum's chains; 0 beyond the path's length, as what follows."""
    deviation: Float[Array, "t n"]
    """Standard deviation of tilt over a datum's chains."""


def betas(schedule: str, temperatures: int) -> Float[np.ndarray, " t_and_start"]:
    """Inverse temperatures 0 = b_0 < ... < b_T = 1; "adaptive" starts from the sigmoid.

    Raises:
        UsageError: An unknown schedule, or no temperatures.
    """
    at_least(1, temperatures=temperatures)
    if schedule not in SCHEDULES:
        raise UsageError(f"expected a schedule out of {', '.join(SCHEDULES)}, got {schedule!r}")
    even = np.linspace(0.0, 1.0, temperatures + 1)
    if schedule == "linear":
        return even
    gamma = 1 / (1 + np.exp(-DELTA * (2 * even - 1)))
    return (gamma - gamma[0]) / (gamma[-1] - gamma[0])


def forward(
    problem: Problem, path: Path, given: Any, keys: Key[Array, "n c"], *, leapfrog: int
) -> Passed:
    """Chains from the start to the target: log-weights whose exponentials have the mean Z."""
    path = path._replace(step_sizes=jnp.log(path.step_sizes))
    return _pass(problem, path, given, keys, leapfrog=leapfrog)[0]


def backward(
    problem: Problem, path: Path, given: Any, z: Any, keys: Key[Array, "n c"], *, leapfrog: int
) -> Passed:
    """Chains from exact draws z of the target, shape (n, c, ...), to the start: the mean is 1 / Z.

    Each temperature's transition comes before its weight, in the reverse order of `forward`.
    """

    def one(carry: Any, turn: Any) -> tuple[Any, Any]:
        z, log_w = carry
        at = path.length - 1 - turn
        after, now = path.betas[at], path.betas[at + 1]
        step_size = path.step_sizes[at]
        z, acceptance = _move(problem, now, step_size, given, z, keys, turn + 1, leapfrog)
        tilt = _tilt(problem, given, z)
        return (z, log_w - (now - after) * tilt), (jnp.mean(acceptance, axis=1), _spread(tilt))

    start = (z, jnp.zeros(keys.shape, path.betas.dtype))
    (z, log_w), found = _steps(one, start, path)
    acceptance, deviation = (jnp.roll(of[::-1], path.length, axis=0) for of in found)
    return Passed(log_w, z, acceptance, deviation)


def untuned(schedule: str, temperatures: int, places: int | None = None) -> Path:
    """The path of a schedule, with step sizes of 0.1.

    Args:
        schedule: See `betas`.
        temperatures: Steps.
        places: Length of the arrays, if they are to be longer.
    """
    places = temperatures if places is None else places
    values = np.ones(places + 1, np.float32)
    values[: temperatures + 1] = betas(schedule, temperatures)
    steps = np.full(places, FIRST_STEP, np.float32)
    return Path(jnp.asarray(values), jnp.asarray(steps), jnp.asarray(temperatures))


def tuned(
    problem: Problem,
    path: Path,
    given: Any,
    keys: Key[Array, "n c"],
    *,
    leapfrog: int,
    acceptance: float,
    adaptive: bool = False,
) -> Path:
    """A path tuned on pilot chains, which take no part in any estimate.

    The first pass finds a step size for each temperature while it goes; if `adaptive`, the
    temperatures are then spaced anew. The second pass corrects the step sizes.
    """
    path = path._replace(step_sizes=jnp.log(path.step_sizes))
    for number, rate in enumerate(RATES):
        passed, used = _pass(
            problem, path, given, keys, leapfrog=leapfrog, rate=rate, target=acceptance
        )
        if adaptive and number == 0:
            spaced = _even_in_length(path, jnp.mean(passed.deviation, axis=1))
            # Filling has no step size: there the last one goes on, at which interpolation ends.
            filling = jnp.arange(used.shape[0]) >= path.length
            used = jnp.where(filling, used[path.length - 1], used)
            used = jnp.interp(spaced[1:], path.betas[1:], used)
            path = path._replace(betas=spaced)
        path = path._replace(step_sizes=used)
    return path._replace(step_sizes=jnp.exp(path.step_sizes))


def _even_in_length(path: Path, deviation: Float[Array, " t"]) -> Float[Array, " t_and_start"]:
    """Temperatures with the same length of path between any two neighbours."""
    values = path.betas
    pieces = jnp.diff(values) * jnp.maximum(deviation, 1e-6 * jnp.max(deviation) + 1e-12)
    length = jnp.concatenate([jnp.zeros(1, values.dtype), jnp.cumsum(pieces)])
    share = jnp.arange(values.shape[0], dtype=values.dtype) / jnp.asarray(path.length, values.dtype)
    even = jnp.minimum(share, 1) * length[-1]
    spaced = jnp.interp(even, length, values).at[0].set(0.0)
    return jnp.where(share < 1, spaced, 1.0)


def _pass(
    problem: Problem,
    path: Path,
    given: Any,
    keys: Key[Array, "n c"],
    *,
    leapfrog: int,
    rate: float = 0.0,
    target: float = 0.0,
) -> tuple[Passed, Float[Array, " t"]]:
    """Chains along a path with logarithms of step sizes, and these as they were used.

    With a rate, what the temperatures before have seen of acceptances moves those that follow.
    """
    values = path.betas

    def begin(given: Any, keys: Key[Array, " c"]) -> Any:
        return jax.vmap(lambda key: problem.start(given, stream(key, "annealing.start")))(keys)

    def one(carry: Any, turn: Any) -> tuple[Any, Any]:
        z, log_w, drift = carry
        before, now = values[turn], values[turn + 1]
        tilt = _tilt(problem, given, z)
        log_w = log_w + (now - before) * tilt
        used = path.step_sizes[turn] + drift
        z, acceptance = _move(problem, now, jnp.exp(used), given, z, keys, turn + 1, leapfrog)
        acceptance = jnp.mean(acceptance, axis=1)
        drift = adapted(drift, jnp.mean(acceptance), target=target, rate=rate)
        return (z, log_w, drift), (acceptance, _spread(tilt), used)

    nothing = jnp.zeros(keys.shape, values.dtype)
    start = (jax.vmap(begin)(given, keys), nothing, jnp.zeros([], values.dtype))
    (z, log_w, _), (acceptance, deviation, used) = _steps(one, start, path)
    return Passed(log_w, z, acceptance, deviation), used


def _steps(one: Callable[[Any, Any], tuple[Any, Any]], start: Any, path: Path) -> tuple[Any, Any]:
    """As `lax.scan` over the numbers of the path's steps; zeros stand for what is filling."""
    places = path.step_sizes.shape[0]
    found = jax.eval_shape(one, start, 0)[1]
    nothing = jax.tree.map(lambda of: jnp.zeros((places, *of.shape), of.dtype), found)

    def step(turn: Any, state: Any) -> Any:
        carry, kept = state
        carry, new = one(carry, turn)
        return carry, jax.tree.map(lambda of, now: of.at[turn].set(now), kept, new)

    return jax.lax.fori_loop(0, path.length, step, (start, nothing))


def _tilt(problem: Problem, given: Any, z: Any) -> Float[Array, "n c"]:
    return jax.vmap(lambda given, z: jax.vmap(lambda z: problem.tilt(given, z))(z))(given, z)


def _spread(tilt: Float[Array, "n c"]) -> Float[Array, " n"]:
    return jnp.std(tilt, axis=1)


def _move(
    problem: Problem,
    beta: Float[Array, ""],
    step_size: Float[Array, ""],
    given: Any,
    z: Any,
    keys: Key[Array, "n c"],
    number: Any,
    leapfrog: int,
) -> tuple[Any, Float[Array, "n c"]]:
    """One transition of every chain at one temperature."""

    def one(given: Any, z: Any, key: PRNGKeyArray) -> tuple[Any, Float[Array, ""]]:
        return transition(
            lambda z: problem.base(given, z) + beta * problem.tilt(given, z),
            z,
            step_size,
            leapfrog=leapfrog,
            key=numbered(key, number),
        )

    return jax.vmap(jax.vmap(one, in_axes=(None, 0, 0)))(given, z, keys)
