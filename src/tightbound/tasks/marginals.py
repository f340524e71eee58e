"""Log p of chosen values of each row: the rows as the model sees them, with further holes in them.

Whatever hides values of a row asks here, so that all of it is one and the same estimate.

Bias: none where log p is a sum or has a closed form; else that of importance sampling, whose
estimates are low by about stderr^2 / 2.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import with_holes
from tightbound.data import DataLike, Source, as_array
from tightbound.evidence import Estimate, evaluate, exact
from tightbound.evidence.batches import prepared
from tightbound.evidence.execution import Execution
from tightbound.likelihoods import Masked
from tightbound.models import Bayesian, Model
from tightbound.models.source import as_source


class Rows(NamedTuple):
    """Rows as a model sees them: binarised once, where they are, and NaN where not known."""

    values: Float32[np.ndarray, "n *item"]
    conditions: Float32[np.ndarray, "n c"] | None = None
    names: tuple[str, ...] = ()
    """The names of their values, of the data or else the model; empty where there are none."""

    @property
    def known(self) -> Bool[np.ndarray, "n d"]:
        """Which values are known, row by row."""
        return ~np.isnan(self.values.reshape(len(self.values), math.prod(self.values.shape[1:])))

    def at(self, rows: Any, known: Bool[np.ndarray, "m d"]) -> "Rows":
        """Copies of some rows (by number, each as often as it is named), of which less is known."""
        shape = self.values.shape[1:]
        shown = np.where(known.reshape(-1, *shape), self.values[rows], np.float32(np.nan))
        conditions = None if self.conditions is None else self.conditions[rows]
        return Rows(shown, conditions, self.names)

    def source(self, model: Model) -> Source:
        """What estimators of the model take."""
        return as_source(model, self.values, "the rows", "none", conditions=self.conditions)

    @classmethod
    def joined(cls, parts: Sequence["Rows"]) -> "Rows":
        """The rows of several, one behind the other."""
        conditions = [part.conditions for part in parts if part.conditions is not None]
        return cls(
            np.concatenate([part.values for part in parts]),
            np.concatenate(conditions) if conditions else None,
            parts[0].names,
        )


def single(model: Model | Bayesian) -> Model:
    """The model, which must be one p(x, z).

    Raises:
        UsageError: It is a distribution over models.
    """
    if isinstance(model, Bayesian):
        raise UsageError("a Bayesian model is no single p(x, z): take `model.mean`")
    return model


def has_mask(model: Model) -> bool:
    """Whether which values are missing has a model too, and log p is of both."""
    return isinstance(model.likelihood, Masked)


def of_values_alone(model: Model, what: str) -> None:
    """Refuses a model of the mask where values are to be hidden.

    Raises:
        UsageError: Hidden values would count as missing for the reason that the mask's model has.
    """
    if has_mask(model):
        raise UsageError(
            f"{what} would hide known values, which a model of the mask "
            "(tb.models.missingness) takes for values that are missing for its reason"
        )


def rows_of(model: Model, x: DataLike, key: PRNGKeyArray, binarize: str) -> Rows:
    """The rows of data as all estimators see them with this key.

    Raises:
        UsageError: As `tb.source` says.
    """
    data = prepared(model, x, binarize, key)
    seen, _ = data.seen(np.arange(data.n))
    names = () if isinstance(x, Source) else as_array(x, "the data").columns
    names = tuple(names) or getattr(model.likelihood, "names", ())
    return Rows(np.asarray(with_holes(seen)), data.source.conditions, names)


def less(a: Any, b: Any) -> Any:
    """A - b of log-densities: NaN where both are infinite, and nothing can be said."""
    with np.errstate(invalid="ignore"):
        return np.asarray(a, np.float64) - np.asarray(b, np.float64)


class RowEvidence(NamedTuple):
    """What is known of log p(x_observed) of some rows."""

    log_p: Float[np.ndarray, " n"]
    stderr: Float[np.ndarray, " n"]
    at_least: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, estimate: Estimate, rows: Any = slice(None)) -> "RowEvidence":
        """What an estimate says of some of its rows, or of all."""
        at_least = np.broadcast_to(estimate.at_least, estimate.stderr.shape)
        return cls(estimate.log_evidence[rows], estimate.stderr[rows], at_least[rows])


class CellEvidence(NamedTuple):
    """Log p(x_j | x_-j) of each known value j given all others of its row; NaN where not known."""

    log_p: Float[np.ndarray, "n d"]
    stderr: Float[np.ndarray, "n d"]
    at_least: Bool[np.ndarray, "n d"]
    """Whether it is only a lower bound of the error, as in `Estimate`."""


class Marginals(NamedTuple):
    """What all estimates of one call have in common."""

    model: Model
    posterior: Any
    k: int
    run: Execution

    def log_p(self, rows: Rows, key: PRNGKeyArray) -> Estimate:
        """Log p of what is known of each row: exact without a posterior, else by k draws.

        It is 0 where nothing is known, of which nothing is drawn; where the mask has a model, that
        nothing is known is data.

        Raises:
            UsageError: No posterior for a model whose evidence is neither a sum nor a closed form,
                nor an integral over one or two dimensions.
            NonFiniteError: A log-weight is NaN or +inf.
        """
        x = rows.source(self.model)
        how = {"key": key, "batch_size": self.run.batch_size, "progress": self.run.progress}
        if self.posterior is None:
            found = exact(self.model, x, **how)
        else:
            chunk = self.run.chunk
            found = evaluate(self.model, self.posterior, x, k=self.k, chunk=chunk, **how)
        if has_mask(self.model):
            return found
        some = rows.known.any(axis=1)
        names = ("log_evidence", "stderr")
        return replace(found, **{name: np.where(some, getattr(found, name), 0) for name in names})

    def each_given_rest(self, rows: Rows, whole: RowEvidence, key: PRNGKeyArray) -> CellEvidence:
        """Each value given the rest of its row: a copy of the row for each, with one more hole.

        `whole` is log p(x_observed) of the rows, from draws of another key.
        """
        row, place = np.nonzero(rows.known)
        known = rows.known[row]
        known[np.arange(len(row)), place] = False
        shape = rows.known.shape
        found = CellEvidence(np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, bool))
        if not len(row):
            return found
        without = RowEvidence.of(self.log_p(rows.at(row, known), key))
        found.log_p[row, place] = less(whole.log_p[row], without.log_p)
        found.stderr[row, place] = np.hypot(whole.stderr[row], without.stderr)
        found.at_least[row, place] = whole.at_least[row] | without.at_least
        return found
