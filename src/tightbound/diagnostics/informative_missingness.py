"""Whether a model of the mask tells more about held-out rows than rates of missing values do.

Two models of the same values and mask are compared, row by row, by log p(x_o, s): one whose mask
depends on x, and one whose columns are missing at constant rates. Where the first is better,
missingness carries information about the values, given what the first assumes of both. Where it is
not, nothing follows: missingness not at random cannot be told from data alone, since for any model
of what is missing there is another mask with the same p(x_o, s) (Molenberghs et al. 2008).

Reference: Ipsen, Mattei & Frellsen 2021, arXiv 2006.12871 (the models); Molenberghs, Beunckens,
Sotto & Kenward 2008, J. R. Stat. Soc. B 70(2) (every such model has a counterpart at random).
Bias: that of both evidences: see `evidence.compare`.
"""

from typing import Any, NamedTuple, Unpack

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import special

from tightbound.core.errors import UsageError
from tightbound.data import DataLike
from tightbound.evidence.compare import Comparison, compare
from tightbound.evidence.estimate import Estimate
from tightbound.evidence.evaluate import evaluate
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.likelihoods import Masked
from tightbound.likelihoods.masks import AtRate, ConstantMask
from tightbound.models.model import Model
from tightbound.models.source import as_source
from tightbound.models.standardization import columns

FALSE_ALARMS = 0.05
"""Of all columns together, and of the mean difference."""


class ColumnGain(NamedTuple):
    """What the mask of one column is worth; nats a row."""

    name: str
    mean: float
    interval: tuple[float, float]
    """Of all columns together in 95 % of cases (Bonferroni)."""

    @property
    def informative(self) -> bool:
        """Whether the interval is above 0."""
        return self.interval[0] > 0


class InformativeMissingness(NamedTuple):
    """The paired difference of a mask that depends on x and one of constant rates."""

    comparison: Comparison
    """Log p(x_o, s) by the first less that by the second, row by row, in nats."""
    columns: tuple[ColumnGain, ...]
    """What the first model would lose if a column with holes were missing at a constant rate,
    without being fitted anew."""

    @property
    def informative(self) -> bool:
        """Whether the 95 % interval of the mean difference is above 0."""
        return self.comparison.interval[0] > 0

    def summary(self) -> str:
        """The verdict in words, with its interval; it never says that values miss at random."""
        low, high = self.comparison.interval
        number = f"{self.comparison.mean:+.3f} nats a row (95 % interval [{low:.3f}, {high:.3f}])"
        named = [column.name for column in self.columns if column.informative]
        if not self.informative:
            first = (
                f"no evidence that missingness is informative: {number}; a mask of another kind "
                "may be, which no data can rule out"
            )
        elif named:
            several = "columns" if len(named) > 1 else "column"
            first = f"missingness looks informative in {several} {', '.join(named)}: {number}"
        else:
            first = f"missingness looks informative, in no single column clearly: {number}"
        judged = self.comparison.judgement
        lines = [first, "given what both models assume of the values and of the mask"]
        if judged is not None:
            lines.append(f"evidence: {judged.word} ({judged.reason})")
        return "\n  ".join(lines)


def informative_missingness(
    constant: tuple[Model, Any],
    masked: tuple[Model, Any],
    x: DataLike,
    *,
    k: int = 1000,
    **execution: Unpack[ExecutionSettings],
) -> InformativeMissingness:
    """Compares a fitted model of the mask with one of constant rates, on rows held out; nats.

    Args:
        constant: Model and posterior of `tb.models.missingness(..., kind="constant")`, fitted.
        masked: Those of another kind, fitted to the same rows.
        x: Rows that neither was fitted to, of shape (n, d), NaN where values are missing. On rows
            of the fit the model with more parameters looks better than it is.
        k: Draws for each row.
        execution: `key`, `binarize`, `batch_size`, `chunk` and `progress`: see
            `tb.evidence.Execution`.

    Raises:
        UsageError: Models of other kinds, fewer than two rows, rows without holes.
    """
    run = Execution.of(informative_missingness, execution, without=("resume", "keep"))
    (plain, q_plain), (model, q) = constant, masked
    for name, of, is_constant in (("constant", plain, True), ("masked", model, False)):
        mask = of.likelihood.mask if isinstance(of.likelihood, Masked) else None
        if mask is None or isinstance(mask, ConstantMask) != is_constant:
            expected = "kind='constant'" if is_constant else "another kind than 'constant'"
            raise UsageError(
                f"expected {name}= as (model, posterior) of tb.models.missingness of {expected}, "
                f"got a mask {'without a model' if mask is None else type(mask).__name__}"
            )
    source = as_source(model, x, "the data", run.binarize)
    if len(source) < 2 or not source.missing:
        raise UsageError(
            f"expected 2 rows or more with missing values, got {len(source)} with "
            f"{source.missing} missing"
        )

    def evidence(model: Model, posterior: Any) -> Estimate:
        return evaluate(
            model,
            posterior,
            source,
            k=k,
            key=run.key,
            batch_size=run.batch_size,
            chunk=run.chunk,
            progress=run.progress,
        )

    best = evidence(model, q)
    gains = []
    holes = np.flatnonzero(np.isnan(source.read()).any(axis=0))
    for column in holes:
        logit = plain.likelihood.mask.intercept[column]
        mask = AtRate(model.likelihood.mask, jnp.asarray(column), logit)
        without = eqx.tree_at(lambda m: m.likelihood.mask, model, mask)
        gain = compare(best, evidence(without, q)).difference
        gains.append(_gain(_name(model, int(column)), gain, len(holes)))
    return InformativeMissingness(compare(best, evidence(plain, q_plain)), tuple(gains))


def _gain(name: str, gain: Float[np.ndarray, " n"], tests: int) -> ColumnGain:
    """Student's interval for one of so many columns."""
    n, mean = len(gain), float(np.mean(gain))
    quantile = float(special.stdtrit(n - 1, 1 - FALSE_ALARMS / (2 * tests)))
    half = quantile * float(np.std(gain, ddof=1)) / n**0.5
    return ColumnGain(name, mean, (mean - half, mean + half))


def _name(model: Model, column: int) -> str:
    """The column's name, or its number."""
    of = columns(model)
    return of.names[column] if of is not None and of.names else str(column)
