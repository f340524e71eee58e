"""Holes filled: by what is expected, with an interval for each cell, or several times by draws.

Reference: Mattei & Frellsen 2019, arXiv 1812.02633, section 3 (single and multiple imputation);
Rubin 1987, Multiple Imputation for Nonresponse in Surveys (why several tables, and not one).
Bias: that of `predictive`, and what the model has wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from jaxtyping import Bool, Float

from tightbound.core.errors import UsageError
from tightbound.data import DataLike, Schema, fill, load_items
from tightbound.evidence.execution import ExecutionSettings
from tightbound.tasks.enough import and_adapted, and_too_few, too_few
from tightbound.tasks.predictive import K, Predictive, predictive


@dataclass(frozen=True, kw_only=True, eq=False)
class Imputed:
    """Data with their holes filled, and how sure that is."""

    x: Float[np.ndarray, "n *item"]
    """Known values as they were, and in holes what is expected (a mean); of a column of levels the
    most probable one, by its number."""
    low: Float[np.ndarray, "n *item"]
    """Lower end of the central interval of each cell; the value itself where that is known."""
    high: Float[np.ndarray, "n *item"]
    level: float
    """Probability of the intervals."""
    predictive: Predictive
    """The draws, the probabilities of levels, log p(x_observed), and the weights' diagnostics."""
    source: Any = None
    """What was given, where it is a frame."""
    schema: Schema | None = None

    @property
    def observed(self) -> Bool[np.ndarray, "n *item"]:
        """Which values were known."""
        return self.predictive.observed

    @property
    def unsure(self) -> Bool[np.ndarray, " n"]:
        """Rows with holes for which draws of z are too few: k-hat beyond 0.7, or ESS below 20."""
        some = ~self.observed.reshape(len(self.x), -1).all(axis=1)
        return some & too_few(self.predictive.khat, self.predictive.ess)

    @property
    def table(self) -> Any:
        """A frame like the one that was given, in its own types, with its holes filled.

        Raises:
            UsageError: What was given is no frame with a schema.
        """
        return self._like_the_source(self.x)

    def tables(self) -> Iterator[Any]:
        """Such a frame for each draw: together they say how unsure the cells are.

        Raises:
            UsageError: As for `table`.
        """
        return map(self._like_the_source, self.predictive.draws)

    def summary(self) -> str:
        """How much was filled, and of which rows the draws are too few."""
        holes = int(np.sum(~self.observed))
        rows = int(np.sum(~self.observed.reshape(len(self.x), -1).all(axis=1)))
        words = (
            f"{holes:,} of {self.observed.size:,} values filled, in {rows:,} of {len(self.x):,} "
            f"rows, with central intervals of {100 * self.level:g} %"
        )
        words += and_adapted(self.predictive.adapted, "rows")
        return words + and_too_few(self.unsure, self.predictive.k, "rows")

    def _like_the_source(self, x: Float[np.ndarray, "n d"]) -> Any:
        if self.source is None or self.schema is None:
            raise UsageError(
                "a filled frame is there where a frame was given with schema=, as in "
                "tb.impute(model, posterior, frame, schema=ds.schema); the numbers are in .x"
            )
        return fill(self.source, x, self.schema)


def impute(
    model: Any,
    posterior: Any,
    x: DataLike,
    *,
    schema: Schema | None = None,
    draws: int = 200,
    level: float = 0.95,
    k: int = K,
    adapt: bool = True,
    **execution: Unpack[ExecutionSettings],
) -> Imputed:
    """Fills what is missing by what the model expects of it given what is there.

    Args:
        model: p(x, z).
        posterior: q(z|x); None for a model of finitely many z.
        x: Data of shape (n, *item), NaN where values are missing; or, with a schema, a frame.
        schema: How the frame's columns are coded, `ds.schema` of the data that were fitted: levels
            become their numbers, and columns that it does not name stay out.
        draws: Whole tables, behind the intervals and `tables()`.
        level: Probability of the intervals.
        k: Draws of z for each datum.
        adapt: Fit a proposal to each datum of which k draws of q are too few: see
            `tb.tasks.predictive`.
        execution: As for `tb.tasks.predictive`.

    Raises:
        UsageError: As for `tb.tasks.predictive`, a level that the schema does not have, or fewer
            draws than the intervals need.
    """
    source = None
    if schema is not None:
        source, x = x, load_items(x, schema=schema).x
    found = predictive(model, posterior, x, draws=draws, k=k, adapt=adapt, **execution)
    low, high = found.interval(level)
    return Imputed(
        x=found.mean,
        low=low,
        high=high,
        level=level,
        predictive=found,
        source=source,
        schema=schema,
    )
