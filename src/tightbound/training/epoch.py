"""One epoch as one compiled scan: order, binarisation, gradients, updates, validation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from tightbound.core.items import Items
from tightbound.core.streams import item_keys, numbered, streams
from tightbound.data.binarise import Binarisation
from tightbound.data.order import epoch_order
from tightbound.models.sharing import folded, tied
from tightbound.objectives import AbstractObjective, Params
from tightbound.training.state import NonFinite, State


class Keys(NamedTuple):
    """The independent streams of one replica."""

    order: PRNGKeyArray
    binarise: PRNGKeyArray
    noise: PRNGKeyArray
    validation: PRNGKeyArray
    initial: PRNGKeyArray
    """The first weights, of every replica but the first."""
    state: PRNGKeyArray
    """Where what an objective keeps starts."""
    labelled: PRNGKeyArray
    """Data with labels beside a minibatch."""

    @staticmethod
    def of(replica: PRNGKeyArray) -> "Keys":
        """The streams of a replica's key."""
        return Keys(
            *streams(
                replica,
                "fit.order",
                "fit.binarise",
                "fit.noise",
                "fit.validation",
                "fit.initial",
                "fit.state",
                "fit.labelled",
            )
        )


class EpochMetrics(NamedTuple):
    """What an epoch reports, in nats per datum."""

    train_bound: Float[Array, ""]
    """Mean over the epoch's minibatches, while the parameters were moving."""
    validation_bound: Float[Array, ""] | None
    info: dict[str, Float[Array, ""]] | None
    """Means over the epoch of what else the objective tells."""


class EpochSettings(NamedTuple):
    """What is fixed over a run."""

    batch_size: int
    train_binarisation: Binarisation
    validation_binarisation: Binarisation
    average: float | None
    patience: int | None
    labelled: int = 0
    """Training data with labels."""


def make_epoch(
    static: Params,
    objective: AbstractObjective,
    optimizer: optax.GradientTransformation,
    settings: EpochSettings,
) -> Callable[..., tuple[State, EpochMetrics]]:
    """Returns `run_epoch(state, keys, epoch, train, validation)` for one replica."""

    def train_step(
        state: State,
        items: Int[Array, " b"],
        keys: Keys,
        epoch: Int[Array, ""],
        train: Items,
    ) -> tuple[State, tuple[Float[Array, ""], Any]]:
        batch = settings.train_binarisation.seen(train.at(items), use=epoch, key=keys.binarise)
        if objective.labelled and train.label is not None:
            known = jnp.nonzero(train.label >= 0, size=settings.labelled)[0]
            of_step = numbered(keys.labelled, state.step)
            which = jax.random.randint(of_step, (objective.labelled,), 0, settings.labelled)
            beside = settings.train_binarisation.seen(
                train.at(known[which]), use=epoch, key=keys.binarise
            )
            batch = batch._replace(labelled=beside)
        noise = item_keys(numbered(keys.noise, epoch), items)
        params = eqx.combine(state.params, static)
        step, kept = objective.step(params, state.objective, batch, noise)
        grads = Params(*folded(*eqx.filter(step.grads, eqx.is_inexact_array)))
        # Optax mixes integers and floats, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer_state = optimizer.update(grads, state.optimizer, state.params)
            after: Any = optax.apply_updates(state.params, updates)
        after = after._replace(model=tied(*after))
        average = state.average
        if settings.average is not None:
            t = jnp.astype(state.step, jnp.float32)
            decay = jnp.minimum(settings.average, (1 + t) / (10 + t))
            average = jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, after)
        state = state._replace(
            params=after,
            optimizer=optimizer_state,
            average=average,
            objective=kept,
            step=state.step + 1,
            non_finite=_check(state, step.bound, grads, after),
        )
        return state, (jnp.mean(step.bound), step.info)

    def run_epoch(
        state: State,
        keys: Keys,
        epoch: Int[Array, ""],
        train: Items,
        validation: Items | None,
    ) -> tuple[State, EpochMetrics]:
        batches = epoch_order(keys.order, epoch, train.x.shape[0], settings.batch_size)
        batches = jnp.repeat(batches, objective.updates, axis=0)
        state, told = jax.lax.scan(
            lambda carry, items: train_step(carry, items, keys, epoch, train), state, batches
        )
        bound, info = jax.tree.map(jnp.mean, told)
        if validation is None:
            return state, EpochMetrics(bound, None, info)
        current = state.params if state.average is None else state.average
        params = eqx.combine(current, static)
        validation_bound = _mean_bound(
            objective, params, state.objective, validation, keys.validation, settings
        )
        if settings.patience is not None:
            state = _keep_best(state, current, validation_bound, settings.patience)
        return state, EpochMetrics(bound, validation_bound, info)

    return run_epoch


def _check(state: State, bound: Float[Array, " b"], grads: Params, params: Params) -> NonFinite:
    """Records the first step with a number that is not finite, its place and its items."""
    # In the order of CHECKED; the parameters last, since a good step can still overflow them.
    bad = ~jnp.stack([_all_finite(tree) for tree in (bound, *grads, params)])
    here = NonFinite(state.step, bad, ~jnp.isfinite(bound))
    first = (state.non_finite.step < 0) & jnp.any(here.where)
    return jax.tree.map(lambda new, old: jnp.where(first, new, old), here, state.non_finite)


def _all_finite(tree: Any) -> Bool[Array, ""]:
    leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.stack([jnp.ones([], bool), *leaves]).all()


def _mean_bound(
    objective: AbstractObjective,
    params: Params,
    kept: Any,
    data: Items,
    key: PRNGKeyArray,
    settings: EpochSettings,
) -> Float[Array, ""]:
    """The mean bound over a data set with the same draws at every call, batch by batch."""
    n = data.x.shape[0]
    size = min(settings.batch_size, n)
    binarise_key, noise_key = streams(key, "fit.validation.binarise", "fit.validation.noise")

    def total(items: Int[Array, " b"]) -> Float[Array, ""]:
        batch = settings.validation_binarisation.seen(data.at(items), use=0, key=binarise_key)
        noise = item_keys(noise_key, items)
        return jnp.sum(objective.bound(params, kept, batch, noise))

    whole = jnp.arange(n // size * size).reshape(-1, size)
    sums = jax.lax.map(total, whole).sum()
    if n % size:
        sums = sums + total(jnp.arange(n - n % size, n))
    return sums / n


def _keep_best(state: State, current: Params, bound: Float[Array, ""], patience: int) -> State:
    """Keeps the best parameters until `patience` epochs have passed without a better bound."""
    better = (bound > state.best_bound) & (state.since_best < patience)
    done = state.since_best >= patience
    keep = lambda new, old: jnp.where(better, new, old)  # noqa: E731
    return state._replace(
        best=jax.tree.map(keep, current, state.best),
        best_bound=keep(bound, state.best_bound),
        since_best=jnp.where(better, 0, state.since_best + jnp.where(done, 0, 1)),
    )
