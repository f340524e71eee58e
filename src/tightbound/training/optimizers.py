"""Optimisers and learning-rate schedules by name; the authors' Adam and schedule of IWAE.

Any Optax optimiser can be handed to `fit` as it is; a name or a call as text makes one of these.
"""

import inspect
import math
from collections.abc import Callable
from functools import lru_cache, partial
from types import FunctionType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from tightbound.core.calls import parse, shortened
from tightbound.core.errors import UsageError, unknown
from tightbound.core.names import DEFAULT_RATES, SCHEDULES, check_optimizer

EXAMPLE = "adam(b1=0.9)"
IWAE_RATES = (1e-3, 7.2e-4, 5.2e-4, 3.7e-4, 2.7e-4, 1.9e-4, 1.4e-4, 1e-4)
IWAE_EPOCHS = tuple(3**stage for stage in range(8))


def iwae_schedule(steps_per_epoch: int, epochs: int = sum(IWAE_EPOCHS)) -> optax.Schedule:
    """The learning rate of Burda et al. (2015): 0.001 * 10^(-i/7) for 3^i epochs, i = 0..7.

    Args:
        steps_per_epoch: Minibatches per epoch.
        epochs: Length of the whole run; 3280 as published, and other lengths stretch or shrink
            the eight stages alike.

    Returns:
        An Optax schedule with the rates as rounded in the authors' code.
    """
    scale = steps_per_epoch * epochs / sum(IWAE_EPOCHS)
    ends, total = [], 0
    for length in IWAE_EPOCHS[:-1]:
        total += length
        ends.append(max(1, round(total * scale)))
    return optax.join_schedules([optax.constant_schedule(rate) for rate in IWAE_RATES], ends)


class IWAEAdamState(NamedTuple):
    """Moments of the authors' Adam, and the number of steps taken."""

    taken: Int[Array, ""]
    first: Any
    second: Any


def iwae_adam(
    learning_rate: float | optax.Schedule, batch_size: int = 20
) -> optax.GradientTransformation:
    """Adam as in the code of Burda et al. (2015), which differs from their text and from Optax.

    beta_1 = 0.99, epsilon = 1e-4 beside an uncorrected second moment that starts at one, the
    update uses the moments from before the current gradient, and the gradient is the sum over
    the minibatch (`fit` gives means, hence `batch_size`).

    Args:
        learning_rate: A number or an Optax schedule.
        batch_size: Items per minibatch.
    """
    b1, b2, epsilon = 0.99, 0.999, 1e-4

    def init(params: Any) -> IWAEAdamState:
        return IWAEAdamState(
            jnp.zeros([], jnp.int32),
            jax.tree.map(jnp.zeros_like, params),
            jax.tree.map(jnp.ones_like, params),
        )

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, IWAEAdamState]:
        del params
        t = jnp.astype(state.taken + 1, jnp.float32)
        rate = learning_rate(state.taken) if callable(learning_rate) else learning_rate
        # 1 - b^t, without the cancellation that costs single precision four digits.
        corrections = [-jnp.expm1(t * math.log(b)) for b in (b1, b2)]
        rate = jnp.asarray(rate) * jnp.sqrt(corrections[1]) / corrections[0]

        def step(m: Float[Array, "*s"], v: Float[Array, "*s"]) -> Float[Array, "*s"]:
            return -rate * m / (jnp.sqrt(v) + epsilon)

        sums = jax.tree.map(lambda g: g * batch_size, updates)
        steps = jax.tree.map(step, state.first, state.second)
        first = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.first, sums)
        second = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.second, sums)
        return steps, IWAEAdamState(state.taken + 1, first, second)

    return optax.GradientTransformation(init, update)


def muon(learning_rate: float | optax.Schedule) -> optax.GradientTransformation:
    """Muon on the weight matrices, Adam at a tenth of the rate on the rest (Jordan et al. 2024).

    Three Newton-Schulz steps in place of five: the orthogonalisation costs as much as the
    gradient of a small network, and we measured no loss. Rates of 0.02 to 0.04 suit dense
    autoencoders with a few hundred units.

    Args:
        learning_rate: A number or an Optax schedule.
    """
    schedule = learning_rate if callable(learning_rate) else lambda step: learning_rate
    return optax.contrib.muon(
        learning_rate, ns_steps=3, adam_learning_rate=lambda step: 0.1 * schedule(step)
    )


def default_rate(text: str) -> float:
    """The learning rate of an optimiser for which none is given beside it: its call's, or ours.

    Raises:
        UsageError: An unknown optimiser, no rate, or one that is not positive.
    """
    check_optimizer(text)
    call = parse(text, EXAMPLE)
    rate = call.options.get("learning_rate", DEFAULT_RATES.get(call.name))
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise UsageError(f"expected learning_rate > 0 and finite, got {rate!r}")
    return rate


def schedule_by_name(
    name: str, learning_rate: float, *, steps_per_epoch: int, epochs: int
) -> optax.Schedule:
    """A learning-rate schedule over a whole run.

    Raises:
        UsageError: The name is not known.
    """
    steps = steps_per_epoch * epochs
    if name == "constant":
        return optax.constant_schedule(learning_rate)
    if name == "cosine":
        return optax.cosine_decay_schedule(learning_rate, steps)
    if name == "linear":
        return optax.linear_schedule(learning_rate, 0.0, steps)
    if name == "iwae":
        rates = iwae_schedule(steps_per_epoch, epochs)
        return lambda step: rates(step) * (learning_rate / IWAE_RATES[0])
    raise unknown("schedule", name, SCHEDULES)


@lru_cache(maxsize=32)  # One object for a text: fits with equal parts share programs.
def by_name(
    text: str, learning_rate: float | optax.Schedule | None = None, *, batch_size: int
) -> optax.GradientTransformation:
    """The optimiser that a name or a call makes: "muon", "adam(learning_rate=0.01, b1=0.5)".

    Args:
        text: "iwae_adam", "muon", or any of Optax that needs a rate alone, with arguments by name.
        learning_rate: A number or schedule; left out it is that of the call, or else ours.
        batch_size: Items per minibatch, which "iwae_adam" sums over.

    Raises:
        UsageError: The name is not known, or it does not take such arguments.
    """
    call = parse(text, EXAMPLE)
    check_optimizer(text, 1.0 if learning_rate is not None else None)
    rate = default_rate(text) if learning_rate is None else learning_rate
    options = {name: value for name, value in call.options.items() if name != "learning_rate"}
    make = _maker(call.name, batch_size)
    taken = inspect.signature(make).parameters
    for name, value in options.items():
        if name not in taken or not isinstance(value, int | float | None):
            numbers = [n for n, p in taken.items() if isinstance(p.default, int | float)]
            raise UsageError(
                f"the optimizer {call.name} takes numbers for learning_rate, "
                f"{', '.join(numbers)}, but not {name}={shortened(repr(value), quoted=False)}"
            )
    try:
        optimizer = make(rate, **options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the optimizer {shortened(text)} cannot be made: {error}") from error
    if _needs_gradients_alone(optimizer):
        return optimizer
    raise _needs_more(call.name)


def _maker(name: str, batch_size: int) -> Callable[..., optax.GradientTransformation]:
    """The function of a rate that makes the optimiser of that name."""
    if name == "iwae_adam":
        return lambda learning_rate: iwae_adam(learning_rate, batch_size)
    if name == "muon":
        return muon
    if name == "adagrad":
        # Duchi et al. (2011): Optax starts the sums at 0.1, which swallows gradients in nats
        # per datum and makes the step depend on whether they are summed or averaged.
        return partial(optax.adagrad, initial_accumulator_value=0.0)
    # In this order: names that Optax moved still stand at the old place, with a warning.
    make = getattr(optax.contrib, name, None) or getattr(optax, name, None)
    if isinstance(make, FunctionType | partial) and not name.startswith(("_", "scale_by_")):
        parameters = inspect.signature(make).parameters
        required = [name for name, p in parameters.items() if p.default is p.empty]
        if next(iter(parameters), "") == "learning_rate" and required in (["learning_rate"], []):
            return make
    raise _needs_more(name)


def _needs_more(name: str) -> UsageError:
    return UsageError(
        f"the optimizer {name} of Optax is not one that a rate and gradients are enough for: "
        "expected another, such as adam or muon"
    )


def _needs_gradients_alone(optimizer: optax.GradientTransformation) -> bool:
    """Whether a step does without the loss and its value, which line searches ask for."""
    params = {"weight": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}
    try:
        with jax.numpy_dtype_promotion("standard"):
            jax.eval_shape(lambda p: optimizer.update(p, optimizer.init(p), p), params)
    except (TypeError, ValueError):
        return False
    return True
