"""Draws of x given some of its values, or its label: sampling importance resampling.

Z is drawn from q(z|x_known) and chosen by its weights, as for `predictive`; the rest of x is drawn
given z and what is known. Each hundred draws has k draws of z of its own.

Reference: Rubin 1988, Bayesian Statistics 3 (sampling importance resampling); Mattei & Frellsen
2019, arXiv 1812.02633, section 3.
Bias: of order 1 / ESS; none where z is enumerated, or nothing but a label is known.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from jaxtyping import Bool, Float, Float32

from tightbound.core.calls import shortened
from tightbound.core.errors import UsageError, at_least, is_whole, unknown
from tightbound.data import Schema
from tightbound.data.table import is_number
from tightbound.distributions import AbstractExplicit, OverLabels
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.models import Bayesian, Model, of_label
from tightbound.models.shapes import item_shape
from tightbound.models.source import source
from tightbound.tasks.codes import enumerated
from tightbound.tasks.enough import FEWEST, HEAVY
from tightbound.tasks.marginals import of_values_alone, single
from tightbound.tasks.predictive import K, predictive

EACH = 100
"""Draws of x from k draws of z."""
LABEL = "label"
"""What a label is called where the schema has no name for it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ConditionalSamples:
    """Draws of p(x | what is given)."""

    x: Float[np.ndarray, "n *item"]
    """Whole items, with the given values as they are; of equal weight and in no order."""
    known: Bool[np.ndarray, "*item"]
    """Which values were given."""
    log_p: float
    """Log-density of the given values in nats, given the label if there is one."""
    stderr: float
    ess: float
    """Effective number of draws of z behind all of them; infinite where z is enumerated."""
    khat: float
    """Shape of the weights' tail, the worst: beyond 0.7 draws of z are too few."""
    k: int
    """Draws of z for each hundred."""

    @property
    def unsure(self) -> bool:
        """Whether the weights' tail is too heavy for the draws to be believed."""
        return self.khat > HEAVY


def conditional_samples(
    model: Model | Bayesian,
    posterior: Any,
    given: Any,
    n: int = 100,
    *,
    k: int = K,
    schema: Schema | None = None,
    **execution: Unpack[ExecutionSettings],
) -> ConditionalSamples:
    """N draws of x given some of its values, its label, or both.

    Args:
        model: p(x, z) without a condition, whose likelihood knows what entries are given others.
        posterior: q(z|x), the proposal; None for a model of finitely many z.
        given: Values by the name of their column or its number from 0, as `{"age": 30, "sex":
            "female"}`; or an item of the model's shape, NaN where nothing is known. The label of
            `tb.models.labelled` is called "label", or what the schema calls it.
        n: How many.
        k: Draws of z for each hundred.
        schema: What the columns are, for names and levels in words.
        execution: `key`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: Columns, levels or labels that are not there, values that are none of the
            column's, nothing left to draw, fewer effective draws of z than n or than 20, or as for
            `tb.tasks.predictive`.
        NonFiniteError: A log-weight is NaN or +inf.
    """
    without = ("binarize", "chunk", "resume", "keep")
    run = Execution.of(conditional_samples, execution, without=without)
    model = single(model)
    of_values_alone(model, "draws given some values")
    n, k = at_least(1, n=n, k=k)
    if model.condition:
        raise UsageError("expected a model without a condition to draw from given values alone")
    model, row = _fixed(model, given, schema)
    known = ~np.isnan(row)
    if known.all():
        raise UsageError(f"expected some value to be left to draw, got all {row.size} of them")
    exact = enumerated(model, posterior)
    if not known.any() and not exact and isinstance(model.prior, AbstractExplicit):
        posterior = model.prior  # of which all draws have one weight
    copies = math.ceil(n / EACH)
    found = predictive(
        model,
        posterior,
        source(model, np.repeat(row[None], copies, axis=0), binarize="none"),
        draws=math.ceil(n / copies),
        k=k,
        key=run.key,
        batch_size=run.batch_size,
        progress=run.progress,
    )
    ess = float(found.ess.sum())
    least = max(FEWEST, n)
    if ess < least:
        needed = math.ceil(1.3 * k * least / ess)
        raise UsageError(
            f"expected {least:g} effective draws of z or more for {n} samples, got {ess:.1f} of "
            f"{k * copies:,}: q(z|x) proposes badly given these values; use k={needed:,} or more, "
            "or posterior=tb.evidence.defensive(posterior, model.prior, share=0.5)"
        )
    return ConditionalSamples(
        x=np.swapaxes(found.draws, 0, 1).reshape(-1, *row.shape)[:n],
        known=known,
        log_p=float(np.logaddexp.reduce(found.log_evidence.astype(np.float64)) - np.log(copies)),
        stderr=float(np.sqrt(np.sum(found.stderr.astype(np.float64) ** 2)) / copies),
        ess=ess,
        khat=float(found.khat.max()),
        k=k,
    )


def _fixed(
    model: Model, given: Any, schema: Schema | None
) -> tuple[Model, Float32[np.ndarray, "*item"]]:
    """The model of the label, if one is given, and an item with the given values alone.

    Raises:
        UsageError: As for `conditional_samples`.
    """
    shape = item_shape(model)
    if not isinstance(given, Mapping):
        row = np.asarray(given, np.float32)
        if row.shape != shape:
            raise UsageError(f"expected given as an item of shape {shape}, got {row.shape}")
        return model, row
    names = schema.names if schema is not None else getattr(model.likelihood, "names", ())
    row = np.full(math.prod(shape), np.nan, np.float32)
    for name, value in given.items():
        if name not in names and _is_label(name, model, schema):
            model = of_label(model, _label(value, schema))
        else:
            place = _place(name, names, row.size)
            row[place] = _number(value, name, place, schema)
    return model, row.reshape(shape)


def _is_label(name: Any, model: Model, schema: Schema | None) -> bool:
    own = schema.label if schema is not None and schema.label else LABEL
    return name in (own, LABEL) and isinstance(model.likelihood, OverLabels)


def _label(value: Any, schema: Schema | None) -> int:
    levels = schema.label_levels if schema is not None else ()
    if levels and str(value) in levels:
        return levels.index(str(value))
    if levels:
        raise unknown("label", str(value), levels)
    if is_whole(value) or (isinstance(value, str) and value.isdecimal()):
        return int(value)
    raise UsageError(f"expected a label as a whole number from 0, got {shortened(str(value))}")


def _place(name: Any, names: tuple[str, ...], size: int) -> int:
    if name in names:
        return names.index(name)
    number: Any = int(name) if isinstance(name, str) and not names and name.isdecimal() else name
    if is_whole(number) and 0 <= number < size:
        return int(number)
    if names:
        raise unknown("column that is given", name, names)
    raise UsageError(
        f"expected a given value by the number of its column from 0 to {size - 1}, got {name!r:.40}"
    )


def _number(value: Any, name: Any, place: int, schema: Schema | None) -> float:
    """A value as the model sees it: of levels their number."""
    if schema is not None and schema.columns[place].levelled:
        levels = schema.columns[place].levels
        if str(value) in levels:
            return float(levels.index(str(value)))
        raise unknown(f"level of {name!r}", str(value), levels)
    text = str(value)
    if isinstance(value, bool) or not is_number(text) or not math.isfinite(float(text)):
        raise UsageError(f"expected a number for {name!r}, got {shortened(text)}")
    return float(text)
