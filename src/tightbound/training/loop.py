"""The compiled epoch over all replicas, and the data on the device."""

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PRNGKeyArray

from tightbound.core.compilation import jit
from tightbound.core.streams import first_keys, stream
from tightbound.data import Source
from tightbound.data.order import items_at
from tightbound.objectives import AbstractObjective, Params
from tightbound.training.epoch import EpochMetrics, EpochSettings, Keys, make_epoch
from tightbound.training.state import CHECKED, NonFinite, State, built, reinitialised, start

Build = Callable[[PRNGKeyArray], tuple[Any, Any]]
"""From a key to (model, posterior)."""


class Loop:
    """The compiled epoch over all replicas, and the data on the device.

    Fits of the same parts, objective, optimiser and shapes share a program: what differs between
    them, numbers, is given to it.
    """

    def __init__(
        self,
        static: Params,
        objective: AbstractObjective,
        optimizer: optax.GradientTransformation,
        settings: EpochSettings,
        root: PRNGKeyArray,
        seeds: int,
        train: Source,
        validation: Source | None,
    ) -> None:
        """Puts the data on the device and prepares the epoch."""
        self.settings, self.optimizer, self.seeds = settings, optimizer, seeds
        self.steps_per_epoch = len(train) // settings.batch_size * objective.updates
        self.n = len(train)
        self.train = train.items()
        self.validation = None if validation is None else validation.items()
        self.keys = jax.vmap(Keys.of)(first_keys(stream(root, "fit.replicas"), seeds))
        self.objective = objective
        self._fixed, self._static = eqx.partition(static, eqx.is_array)
        self._compiled: dict[AbstractObjective, Any] = {}

    def start(self, params: Params, build: Build | None = None) -> State:
        """The state of all replicas before the first step; the first has the parts as they are."""

        def one(params: Params, key: PRNGKeyArray) -> State:
            arrays = eqx.filter(params, eqx.is_inexact_array)
            return start(
                arrays,
                self.optimizer,
                self.objective.init(params, self.n, key),
                batch_size=self.settings.batch_size,
                averaged=self.settings.average is not None,
                keep_best=self.settings.patience is not None,
            )

        fresh = [params]
        for i in range(1, self.seeds):
            key = self.keys.initial[i]
            fresh.append(reinitialised(params, key) if build is None else built(params, build, key))
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(one, fresh, self.keys.state))

    def epoch(self, state: State, epoch: int) -> tuple[State, EpochMetrics]:
        """Runs one epoch; the metrics come back on the host."""
        objective = self.objective.at(epoch)
        if epoch > 0 and self.objective.at(epoch - 1).reports != objective.reports:
            # Bounds of different kinds do not compare: early stopping starts anew.
            state = state._replace(
                best_bound=jnp.full_like(state.best_bound, -jnp.inf),
                since_best=jnp.zeros_like(state.since_best),
            )
        numbers, rest = eqx.partition(objective, eqx.is_array)
        run = self._program(rest)
        given = numbers, self._fixed
        state, metrics = run(state, self.keys, epoch, self.train, self.validation, given)
        return state, jax.device_get(metrics)

    def _program(self, objective: AbstractObjective) -> Any:
        """The compiled epoch of an objective; its arrays are arguments."""
        if objective not in self._compiled:
            parts = self._static, objective, self.optimizer, self.settings
            make = functools.partial(_program, *parts, one_by_one=jax.default_backend() == "cpu")
            self._compiled[objective] = _kept(_fingerprint(parts), make)
        return self._compiled[objective]

    def non_finite(self, state: State, metrics: EpochMetrics) -> str | None:
        """The epoch's first non-finite number in words: step, part, items, replica."""
        for replica, step in enumerate(np.asarray(state.non_finite.step)):
            if step >= 0:
                return self._at_step(replica, int(step), state.non_finite)
        bounds = metrics.validation_bound
        for replica in [] if bounds is None else np.flatnonzero(~np.isfinite(bounds)):
            epoch = int(state.step[replica]) // self.steps_per_epoch
            return f"epoch {epoch} of replica {replica}: the validation bound not finite"
        return None

    def _at_step(self, replica: int, step: int, fault: NonFinite) -> str:
        where = [
            name for name, bad in zip(CHECKED, np.asarray(fault.where[replica]), strict=True) if bad
        ]
        if len(where) > 1:
            where = [name for name in where if name != "update"]  # which then only follows
        places = " and ".join(CHECKED[name] for name in where)
        n, size = self.n, self.settings.batch_size
        batch = step // self.objective.updates
        items = np.asarray(items_at(self.keys.order[replica], batch, n, size))
        guilty = items[np.asarray(fault.items[replica])]
        shown = guilty if len(guilty) else items
        which = "items" if len(guilty) else "the minibatch of items"
        listed = ", ".join(map(str, shown[:10])) + (", ..." if len(shown) > 10 else "")
        return (
            f"step {step} (epoch {step // self.steps_per_epoch + 1}) of replica {replica}: "
            f"{places} not finite, in {which} {listed}"
        )


PROGRAMS = 16
"""How many are kept for further fits."""
_programs: OrderedDict[Hashable, Any] = OrderedDict()


def _program(
    static: Params,
    objective: AbstractObjective,
    optimizer: optax.GradientTransformation,
    settings: EpochSettings,
    *,
    one_by_one: bool,
) -> Any:
    """The epoch as a program of state, keys, epoch, data and the arrays that belong to both."""

    def run_epoch(*arguments: Any) -> Any:
        *state_and_data, (numbers, fixed) = arguments
        parts, whole = eqx.combine(fixed, static), eqx.combine(numbers, objective)
        return make_epoch(parts, whole, optimizer, settings)(*state_and_data)

    return jit(over_replicas(run_epoch, one_by_one=one_by_one), donate_argnums=0)


def _kept(key: Hashable, make: Callable[[], Any]) -> Any:
    """The program of that key, made if it is not there; without a key it is not kept."""
    if key is None:
        return make()
    if key not in _programs:
        _programs[key] = make()
        while len(_programs) > PROGRAMS:
            _programs.popitem(last=False)
    _programs.move_to_end(key)
    return _programs[key]


def _fingerprint(parts: Any) -> Hashable:
    """What is equal for parts of which the same program is made; None where nothing can say so."""
    leaves, structure = jax.tree.flatten(parts)
    try:
        key = structure, jax.default_backend(), *map(_of_leaf, leaves)
        hash(key)
    except TypeError:
        return None
    return key


def _of_leaf(leaf: Any) -> Any:
    """A leaf, or what an array of NumPy holds. Types are told apart, as 1 and True are equal."""
    if isinstance(leaf, np.ndarray):
        return leaf.shape, str(leaf.dtype), leaf.tobytes()
    return type(leaf), leaf


def over_replicas(run_epoch: Any, *, one_by_one: bool) -> Any:
    """Runs all replicas in one compiled program: by `vmap`, or one after another.

    On CPU a batch axis takes the matrix products off their fast path: three replicas at k = 50
    took 230 ms a step by `vmap`, and one took 32 ms.
    """
    if not one_by_one:
        return jax.vmap(run_epoch, in_axes=(0, 0, None, None, None, None))

    def run(state: State, keys: Keys, *rest: Any) -> Any:
        return jax.lax.map(lambda replica: run_epoch(*replica, *rest), (state, keys))

    return run
