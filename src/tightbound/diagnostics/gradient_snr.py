"""The signal-to-noise ratio of an objective's gradient.

Reference: Rainforth et al. 2018, arXiv 1802.04537, eq. 8 (SNR of each parameter) and eq. 12
(directional SNR).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import at_least
from tightbound.core.items import Items
from tightbound.core.streams import as_key, item_keys, numbered, stream
from tightbound.data import DataLike
from tightbound.data.binarise import evaluated_key
from tightbound.models.sharing import folded
from tightbound.models.source import as_source, nothing
from tightbound.objectives import AbstractObjective, Params
from tightbound.objectives.holes import check_data


class GradientSignal(NamedTuple):
    """What the gradients of independent draws say together, for one part."""

    mean: Float[np.ndarray, " p"]
    """Mean gradient per parameter: of the negative bound, in nats per datum and unit."""
    deviation: Float[np.ndarray, " p"]
    """Standard deviation of one gradient per parameter."""
    directional: float
    """Mean over the draws of |part along the mean gradient| / |part across it|."""

    @property
    def snr(self) -> Float[np.ndarray, " p"]:
        """|mean| / standard deviation per parameter; nan where nothing varies."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.deviation > 0, np.abs(self.mean) / self.deviation, np.nan)


def gradient_snr(
    objective: AbstractObjective,
    model: Any,
    posterior: Any,
    x: DataLike,
    *,
    replicas: int = 1000,
    key: int | PRNGKeyArray = 0,
    batch_size: int = 100,
) -> dict[str, GradientSignal]:
    """Measures the signal-to-noise ratio of an objective's gradient on one minibatch.

    Memory does not grow with `replicas`: all are drawn twice, for the mean and then around it.

    Args:
        objective: What is differentiated.
        model: p(x, z).
        posterior: q(z|x).
        x: The minibatch of shape (n, d), the same for all replicas; grey values are binarised once,
            as `tb.evaluate` does with the same key.
        replicas: Independent sets of draws; the mean's own error is deviation / sqrt(replicas).
        key: Seed or key of the draws.
        batch_size: Replicas at once.

    Returns:
        The signal of "model" and of "posterior", with parameters in the order of the tree's leaves.

    Raises:
        UsageError: Fewer than two replicas, or parts that do not suit the objective.
    """
    at_least(2, replicas=replicas)
    at_least(1, batch_size=batch_size)
    params = Params(model, posterior)
    objective.check(params)
    no_columns = getattr(x, "shape", ())[1:] == (0,)  # what stands for the data of a Target
    batch = nothing(len(x)) if no_columns else as_source(model, x, "the minibatch")
    check_data(params, objective, batch)
    measured = _measure(
        objective,
        params,
        batch.seen(key=evaluated_key(key)),
        stream(as_key(key), "gradient_snr.draws"),
        replicas,
        min(batch_size, replicas),
    )
    return {
        name: GradientSignal(mean, np.sqrt(np.asarray(squares) / (replicas - 1)), float(ratio))
        for name, (mean, squares, ratio) in jax.device_get(measured).items()
    }


@filter_jit
def _measure(
    objective: AbstractObjective,
    params: Params,
    batch: Items,
    root: PRNGKeyArray,
    replicas: int,
    size: int,
) -> dict[str, tuple[Array, Array, Array]]:
    """For each part the mean, the sum of squares around it, and the mean directional ratio."""
    state = objective.init(params, len(batch.x), stream(root, "gradient_snr.state"))

    def gradients(replica: Int[Array, ""]) -> dict[str, Float[Array, " p"]]:
        keys = item_keys(numbered(root, replica), batch.rows)
        grads = Params(*folded(*objective.step(params, state, batch, keys)[0].grads))
        return {name: ravel_pytree(getattr(grads, name))[0] for name in Params._fields}

    def total(of: Any) -> Any:
        """The sum over all replicas of a function of the gradients."""

        def of_some(which: Int[Array, " b"]) -> Any:
            some = jax.vmap(lambda i: of(gradients(i)))(which)
            return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), some)

        whole = jnp.arange(replicas // size * size).reshape(-1, size)
        sums = jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), jax.lax.map(of_some, whole))
        if replicas % size:
            left = of_some(jnp.arange(replicas - replicas % size, replicas))
            sums = jax.tree.map(jnp.add, sums, left)
        return sums

    mean = jax.tree.map(lambda leaf: leaf / replicas, total(lambda g: g))
    around = total(lambda g: {name: _around(g[name], mean[name]) for name in g})
    return {
        name: (mean[name], squares, ratio / replicas) for name, (squares, ratio) in around.items()
    }


def _around(
    g: Float[Array, " p"], mean: Float[Array, " p"]
) -> tuple[Float[Array, " p"], Float[Array, ""]]:
    """The squared distance from the mean per parameter, and the part along it over that across."""
    unit = mean / jnp.linalg.norm(mean)
    along = jnp.dot(g, unit)
    return (g - mean) ** 2, jnp.abs(along) / jnp.linalg.norm(g - along * unit)
