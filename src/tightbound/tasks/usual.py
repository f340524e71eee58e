"""How likely each column's values usually are given the rest of their rows.

Log p(x_j | x_-j) is a log-density in the column's own unit, and a column may be hard to foretell at
any time: it says something beside its median in rows that are usual.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tightbound.core.streams import first_keys, stream, streams
from tightbound.tasks.comparison import fitting
from tightbound.tasks.marginals import Marginals, RowEvidence, Rows

USUAL = 50
"""Rows of which the median is taken; its error is then 0.18 of their standard deviation."""
LEAST = 20
"""Fewer calibration rows than these tell no median: draws of the model stand in for them."""


def usual_of_each(
    of: Marginals, rows: Rows, inliers: Rows | None
) -> tuple[Float[np.ndarray, "b d"], tuple[str, ...]]:
    """Medians of log p(x_j | x_-j) under the mask of each row, and of which rows they are.

    Raises:
        UsageError: Draws of the model are needed, and it has none.
    """
    if not len(rows.values):
        return np.empty(rows.known.shape), ()
    masks, which = np.unique(rows.known, axis=0, return_inverse=True)
    chosen, words = [], []
    for mask in masks:
        like, kind = inliers, "calibration rows"
        numbers = np.arange(0) if like is None else fitting(like, mask)[:USUAL]
        if like is None or len(numbers) < LEAST:
            like, kind, numbers = _drawn(of, rows), "draws of the model", np.arange(USUAL)
        chosen.append(like.at(numbers, np.tile(mask, (len(numbers), 1))))
        words.append(f"{len(numbers)} {kind}")
    whole, cells = streams(of.run.key, "score.usual", "score.usual.cells")
    shown = Rows.joined(chosen)
    each = of.each_given_rest(shown, RowEvidence.of(of.log_p(shown, whole)), cells).log_p
    ends = np.cumsum([len(part.values) for part in chosen])[:-1]
    found = np.stack([np.median(part, axis=0) for part in np.split(each, ends)])
    which = which.reshape(-1)
    return found[which], tuple(words[number] for number in which)


def _drawn(of: Marginals, rows: Rows) -> Rows:
    """Draws of the model, under the conditions of the rows where it has some."""
    given = rows.conditions
    given = None if given is None else jnp.asarray(np.resize(given, (USUAL, given.shape[1])))
    keys = first_keys(stream(of.run.key, "score.drawn"), USUAL)
    x = jax.vmap(lambda key, c: of.model.sample(key, c)[0])(keys, given)
    return Rows(np.asarray(x), None if given is None else np.asarray(given))
