"""Data as a run's model sees them."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tightbound.core.items import Data, on_device, taken
from tightbound.data.binarise import evaluated_key, resolve
from tightbound.recipes.settings import Config
from tightbound.training import Run


def as_seen(
    run: Run, config: Config, x: Float[np.ndarray, "all d"], what: str, *, first: int | None = None
) -> Data:
    """The first rows of x (all by default), binarised as configured; `what` they are, for errors.

    Raises:
        UsageError: A value of any row outside the likelihood's support.
    """
    binarisation = resolve(config.binarize, run.model.likelihood.support, x, what)
    items = taken(on_device(x[:first]), jnp.arange(len(x[:first])))
    shown = binarisation(items.x, items.rows, use=0, key=evaluated_key(config.key))
    return items._replace(x=shown).data
