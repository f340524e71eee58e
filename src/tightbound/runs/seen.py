"""Data as a run's model sees them."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound.config import Config
from tightbound.data.binarise import evaluated_key, resolve
from tightbound.training import Run


def as_seen(
    run: Run, config: Config, x: Float[np.ndarray, "n d"], what: str, *, first: int | None = None
) -> Float[Array, "m d"]:
    """The first rows of x (all by default), binarised as configured; `what` they are, for errors.

    Raises:
        UsageError: A value of any row outside the likelihood's support.
    """
    binarisation = resolve(config.binarize, run.model.likelihood.support, x, what)
    shown = jnp.asarray(x[:first])
    return binarisation(shown, jnp.arange(len(shown)), use=0, key=evaluated_key(config.key))
