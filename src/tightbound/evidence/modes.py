"""A function of every draw; by one, or by centres, the mode that each draw belongs to."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Shaped

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError

AT_ONCE = 10_000
"""Draws of which a function is taken at once."""


class Fractions(NamedTuple):
    """The shares of the posterior's mass, one for each label along the last axis."""

    labels: Int[np.ndarray, " m"]
    value: Float[np.ndarray, "*n m"]
    stderr: Float[np.ndarray, "*n m"]
    """At least 1 / ESS, since a mode without a draw may be there all the same."""


def labelled(
    z: Any, shape: tuple[int, ...], assign: Callable[[Any], Any] | Any
) -> tuple[Shaped[np.ndarray, "*n k"], Shaped[np.ndarray, " m"]]:
    """The label of each draw, and all labels.

    Args:
        z: Draws, whose leading axes are `shape`.
        shape: That of the log-weights.
        assign: A function of one draw, or centres: see `WeightedDraws.fractions`.

    Raises:
        UsageError: A function that gives no whole number, or centres of another shape.
    """
    if not callable(assign):
        centres = np.asarray(assign) if isinstance(z, np.ndarray) else assign
        return nearest(z, len(shape), centres), np.arange(len(jax.tree.leaves(centres)[0]))
    labels = each_draw(assign, z, shape)
    if not isinstance(labels, np.ndarray) or labels.shape != shape:
        raise UsageError(
            "expected assign to give one whole number for each draw, got "
            f"{jax.tree.map(np.shape, labels)} for draws of shape {shape}"
        )
    if labels.dtype.kind not in "biu":
        raise UsageError(f"expected labels to be whole numbers, got {labels.dtype}")
    return labels, np.unique(labels)


def nearest(z: Any, axes: int, centres: Any) -> Int[np.ndarray, "*n k"]:
    """The number of the centre that is nearest to each draw.

    Args:
        z: Draws, whose first axes are those of data and draws.
        axes: How many these are.
        centres: In the form of z, with a leading axis m; of sites by name some are enough.

    Raises:
        UsageError: Centres of another shape.
    """
    if isinstance(z, dict) and isinstance(centres, dict):
        z = {name: of for name, of in z.items() if name in centres}
    wanted = jax.tree.map(lambda leaf: ("m", *leaf.shape[axes:]), z)
    got = jax.tree.map(lambda leaf: ("m", *np.shape(leaf)[1:]), centres)
    counts = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(centres)}
    if wanted != got or len(counts) != 1:
        raise UsageError(f"expected centres of shape {wanted}, or a function, got {got}")
    pairs = list(zip(jax.tree.leaves(z), jax.tree.leaves(centres), strict=True))

    def square(number: int) -> Float[np.ndarray, "*n k"]:
        away = [
            (leaf - np.asarray(centre)[number]).reshape(*leaf.shape[:axes], -1)
            for leaf, centre in pairs
        ]
        return np.sum(np.concatenate(away, axis=-1) ** 2, axis=-1)

    ((count,),) = counts
    return np.argmin(np.stack([square(number) for number in range(count)]), axis=0)


def each_draw(f: Callable[[Any], Any], z: Any, shape: tuple[int, ...]) -> Any:
    """A function of every draw; leaves of shape (*shape, ...).

    Args:
        f: Of one draw, in `jax.numpy`.
        z: Draws, whose leading axes are `shape`.
        shape: That of the log-weights.

    Raises:
        UsageError: JAX cannot trace the function.
    """
    flat = jax.tree.map(lambda leaf: jnp.asarray(leaf.reshape(-1, *leaf.shape[len(shape) :])), z)
    try:
        found = _mapped(f, flat)
    except jax.errors.JAXTypeError as error:
        raise UsageError(
            "expected a function of one draw in jax.numpy, and it could not be traced: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(*shape, *leaf.shape[1:]), found)


@filter_jit
def _mapped(f: Callable[[Any], Any], draws: Any) -> Any:
    return jax.lax.map(f, draws, batch_size=AT_ONCE)
