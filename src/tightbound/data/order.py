"""Item order as a pure function of (key, step), so that resuming needs no iterator state."""

import jax
from jaxtyping import Array, Int, PRNGKeyArray

from tightbound.core.streams import numbered


def epoch_order(
    key: PRNGKeyArray, epoch: int | Int[Array, ""], n: int, batch_size: int
) -> Int[Array, "steps batch"]:
    """The items of each minibatch of one epoch: a fresh permutation, whole batches only.

    The `n % batch_size` items left over differ from epoch to epoch.
    """
    steps = n // batch_size
    order = jax.random.permutation(numbered(key, epoch), n)
    return order[: steps * batch_size].reshape(steps, batch_size)


def items_at(key: PRNGKeyArray, step: int, n: int, batch_size: int) -> Int[Array, " batch"]:
    """The items of the minibatch of one step, counted from 0 over all epochs."""
    epoch, within = divmod(step, n // batch_size)
    return epoch_order(key, epoch, n, batch_size)[within]
