"""How unusual rows are under a model, and which of their cells are to blame.

The score is log p(x_observed); its conformal p-value counts how many inliers score as low; a cell
is blamed by log p(x_j | x_-j) = log p(x_observed) - log p(x_observed without j).

Reference: Vovk, Gammerman & Shafer 2005; Bates et al. 2023, arXiv 2104.08279 (see `conformal`).
Bias: scores are low by about stderr^2 / 2, and exact where nothing is drawn; p-values have none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from jaxtyping import Bool, Float, Int

from tightbound.core.errors import UsageError, at_least, is_whole
from tightbound.core.streams import stream
from tightbound.data import DataLike, Schema
from tightbound.evidence import Estimate
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.models import Bayesian, Model
from tightbound.tasks.blame import Blamed, blamed
from tightbound.tasks.comparison import compared_known, compared_whole
from tightbound.tasks.marginals import (
    Marginals,
    RowEvidence,
    has_mask,
    of_values_alone,
    rows_of,
    single,
)
from tightbound.tasks.usual import usual_of_each

K = 1000
"""Draws of z for each score."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Scores of n rows, and of some of them what each cell has to do with it."""

    estimate: Estimate
    """Log p(x_observed) of the rows, with all that is told of it."""
    p_value: Float[np.ndarray, " n"] | None
    """Conformal p-value of each row, small for outliers; None without calibration rows."""
    compared: Int[np.ndarray, " n"] | None
    """How many calibration rows each was compared with: those that know all that it knows."""
    rows: Int[np.ndarray, " b"]
    """The rows whose cells were looked at, counted from 0."""
    conditional: Float[np.ndarray, "b *item"]
    """Log p(x_j | x_-j) in nats of each of their cells; NaN where the value is missing."""
    conditional_stderr: Float[np.ndarray, "b *item"]
    at_least: Bool[np.ndarray, "b *item"]
    """Where that is only a lower bound of the error: the weights may have no variance."""
    usual: Float[np.ndarray, "b *item"]
    """The median of the same number in rows that are usual, under the same holes."""
    usual_of: tuple[str, ...]
    """Of which rows, in words, for each of `rows`."""
    values: Float[np.ndarray, "n *item"]
    """The rows as the model sees them."""
    names: tuple[str, ...]
    schema: Schema | None
    k: int
    seconds: float

    @property
    def log_p(self) -> Float[np.ndarray, " n"]:
        """Log p(x_observed) of each row in nats; rows with other holes are not comparable."""
        return self.estimate.log_evidence

    @property
    def stderr(self) -> Float[np.ndarray, " n"]:
        """Standard error of each, from its draws."""
        return self.estimate.stderr

    @property
    def verdict(self) -> str:
        """The verdict on the scores together: see `tb.evaluate`."""
        return self.estimate.verdict

    def blame(self, row: int) -> tuple[Blamed, ...]:
        """The cells of a row, those first that are furthest below what is usual for their column.

        Cells are compared with their own column because densities have units: log p of a length
        in metres and in millimetres differ by 6.9 nats.

        Raises:
            UsageError: A row whose cells were not looked at.
        """
        found = np.flatnonzero(self.rows == row)
        if not len(found):
            raise UsageError(
                f"the cells of row {row!r} were not looked at: score it with blame=[{row!r}]"
            )
        at = int(found[0])
        cells = (self.conditional, self.conditional_stderr, self.at_least, self.usual)
        return blamed(
            self.values[row].reshape(-1),
            *(of_rows[at].reshape(-1) for of_rows in cells),
            usual_of=self.usual_of[at],
            names=self.names,
            schema=self.schema,
        )


def score(
    model: Model | Bayesian,
    posterior: Any,
    x: DataLike,
    *,
    calibration: DataLike | None = None,
    blame: float | Sequence[Any] = 0.05,
    k: int = K,
    schema: Schema | None = None,
    **execution: Unpack[ExecutionSettings],
) -> Scores:
    """Scores rows by log p(x_observed), and says of the unusual ones which cells are to blame.

    A row with holes has the density of fewer values, so it is compared with the calibration rows
    under its own holes: those that know all that it knows, of which the rest is hidden. That costs
    as many scores as there are calibration rows, times the number of different masks in x. Its
    p-value is valid if, besides, holes do not depend on what the values are. Where no calibration
    row knows as much, it is 1.

    Where the mask has a model (`tb.models.missingness`) the score is log p(x_observed, s), each
    calibration row has its own mask, whatever holes depend on, and cells are not looked at.

    The cells of a row cost a score each, and 50 rows of comparison under the same mask as many
    again.

    Args:
        model: p(x, z) whose likelihood takes missing values.
        posterior: q(z|x); None where log p(x) is exact (finite z, a linear-Gaussian model).
        x: Data of shape (n, *item), NaN where values are missing; or a source of them.
        calibration: Inliers that neither model nor posterior was fitted to, nor stopped by.
        blame: The p-value up to which cells are looked at (of no row without calibration); or the
            rows whose cells are, by number from 0. With m calibration rows no p-value is below
            1 / (m + 1).
        k: Draws of z for each score.
        schema: What the columns are, for names and values in words.
        execution: `key`, `binarize`, `batch_size`, `chunk` and `progress`: see
            `tb.evidence.Execution`.

    Raises:
        UsageError: Data that do not suit the model, a posterior that is lacking, or rows to blame
            that are not there or whose mask has a model.
        NonFiniteError: A log-weight is NaN or +inf; rows are named.
    """
    run = Execution.of(score, execution, without=("resume", "keep"))
    model = single(model)
    (k,) = at_least(1, k=k)
    rows = rows_of(model, x, run.key, run.binarize)
    chosen = _asked(blame, len(rows.values))
    masked = has_mask(model)
    if masked:
        if chosen is not None and len(chosen):
            of_values_alone(model, "blaming cells")
        chosen = np.zeros(0, int)
    inliers = None
    if calibration is not None:
        inliers = rows_of(
            model, calibration, stream(run.key, "score.calibration.binarise"), run.binarize
        )
    of = Marginals(model, posterior, k, run)
    estimate = of.log_p(rows, stream(run.key, "score.rows"))
    p_value = compared = None
    if inliers is not None:
        compare = compared_whole if masked else compared_known
        draws = stream(run.key, "score.calibration")
        p_value, compared = compare(
            lambda shown: of.log_p(shown, draws).log_evidence, rows, estimate.log_evidence, inliers
        )
        if chosen is None:
            chosen = np.flatnonzero(p_value <= blame)
    chosen = np.zeros(0, int) if chosen is None else chosen
    some = rows.at(chosen, rows.known[chosen])
    cells = of.each_given_rest(
        some, RowEvidence.of(estimate, chosen), stream(run.key, "score.cells")
    )
    usual, usual_of = usual_of_each(of, some, inliers)
    shape = some.values.shape
    return Scores(
        estimate=estimate,
        p_value=p_value,
        compared=compared,
        rows=chosen,
        conditional=cells.log_p.reshape(shape),
        conditional_stderr=cells.stderr.reshape(shape),
        at_least=cells.at_least.reshape(shape),
        usual=usual.reshape(shape),
        usual_of=usual_of,
        values=rows.values,
        names=rows.names if schema is None else schema.names,
        schema=schema,
        k=k,
        seconds=run.seconds,
    )


def _asked(blame: float | Sequence[Any], n: int) -> Int[np.ndarray, " b"] | None:
    """The rows to blame cells of, where they are asked for by number.

    Raises:
        UsageError: No share from 0 to 1, or a row that is not there.
    """
    if isinstance(blame, int | float):
        if not 0 <= blame <= 1:
            raise UsageError(f"expected blame as a p-value from 0 to 1, or rows, got {blame}")
        return None
    for number in blame:
        if not is_whole(number) or not 0 <= number < n:
            raise UsageError(f"expected rows to blame from 0 to {n - 1}, got {number!r:.40}")
    return np.asarray(blame, int)
