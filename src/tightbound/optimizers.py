"""Optimisers and learning-rate schedules by name; the authors' Adam and schedule of IWAE.

Any Optax optimiser can be handed to `fit` as it is; the names here serve the command line.
"""

import inspect
import math
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from tightbound.errors import UsageError

SCHEDULES = ("constant", "cosine", "linear", "iwae")
DEFAULT_RATES = {"adam": 2e-3, "adamw": 2e-3, "iwae_adam": 1e-3, "muon": 2e-2}
"""Highest learning rates for runs that name none."""
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


def default_rate(name: str) -> float:
    """The learning rate for an optimiser of which nothing but the name was given.

    Raises:
        UsageError: We know of none.
    """
    if name not in DEFAULT_RATES:
        raise UsageError(
            f"the optimizer {name} needs a learning rate of yours; "
            f"{', '.join(DEFAULT_RATES)} have one of ours"
        )
    return DEFAULT_RATES[name]


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
    raise UsageError(f"expected a schedule out of {', '.join(SCHEDULES)}, got {name!r}")


def by_name(
    name: str, learning_rate: float | optax.Schedule, *, batch_size: int
) -> optax.GradientTransformation:
    """The optimiser of that name: "iwae_adam", "muon", or any of Optax that needs a rate alone.

    Raises:
        UsageError: The name is not known.
    """
    if name == "iwae_adam":
        return iwae_adam(learning_rate, batch_size)
    if name == "muon":
        return muon(learning_rate)
    if name == "adagrad":
        # Duchi et al. (2011): Optax starts the sums at 0.1, which swallows gradients in nats
        # per datum and makes the step depend on whether they are summed or averaged.
        return optax.adagrad(learning_rate, initial_accumulator_value=0.0)
    # In this order: names that Optax moved still stand at the old place, with a warning.
    make = getattr(optax.contrib, name, None) or getattr(optax, name, None)
    if isinstance(make, FunctionType | partial) and not name.startswith(("_", "scale_by_")):
        parameters = inspect.signature(make).parameters
        required = [name for name, p in parameters.items() if p.default is p.empty]
        if next(iter(parameters), "") == "learning_rate" and required in (["learning_rate"], []):
            optimizer = make(learning_rate)
            if _needs_gradients_alone(optimizer):
                return optimizer
    raise UsageError(
        f"expected an optimizer out of adam, adamw, adagrad, sgd, rmsprop, muon, iwae_adam or "
        f"another one of Optax that needs a rate and gradients alone, got {name!r}"
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
