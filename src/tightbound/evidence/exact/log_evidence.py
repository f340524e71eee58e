"""Log p(x) without sampling: sums over finite z, closed forms, and quadrature in 1-2 dimensions.

Reference: Dempster, Laird & Rubin 1977, JRSS B 39(1), section 4.3 (finite z); Tipping & Bishop
1999, JRSS B 61(3), eq. 4 (linear-Gaussian models); Trefethen & Weideman 2014, SIAM Review 56(3)
(quadrature).
Bias: none but what `error` shows. All is computed in double precision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Unpack

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import NonFiniteError, UsageError, at_least
from tightbound.core.items import Data, Datum, One
from tightbound.core.items import values as values_of
from tightbound.data import DataLike
from tightbound.distributions import AbstractFinite
from tightbound.evidence.batches import Batch, Prepared, prepared
from tightbound.evidence.estimate import Estimate
from tightbound.evidence.estimator import estimator
from tightbound.evidence.exact.double import double, undrawn, widened
from tightbound.evidence.exact.kalman import kalman_log_evidence
from tightbound.evidence.exact.quadrature import ROUNDINGS, Integral, integral
from tightbound.evidence.execution import Execution, ExecutionSettings, Found
from tightbound.models import NumPyroTarget, Target
from tightbound.models.finite import check_finite, items_at_once, log_evidence
from tightbound.models.linear_gaussian import is_linear_gaussian, linear_log_evidence
from tightbound.models.linear_state_space import is_linear_state_space
from tightbound.models.model import Model
from tightbound.models.shapes import like_z

POINTS = {1: 4099, 2: 511}
"""Grid points in each of one or two dimensions."""

_summed = filter_jit(log_evidence)


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactEvidence(Estimate):
    """Log-evidence per datum in nats of which nothing is drawn: `stderr`, `ess`, `draws` are 0."""

    @property
    def error(self) -> Float[np.ndarray, " n"]:
        """How far log p(x) may be off, in nats: rounding, and what quadrature shows of itself."""
        return self.diagnostics["error"]


def exact(
    model: Model,
    x: DataLike | None = None,
    *,
    points: int | None = None,
    **execution: Unpack[ExecutionSettings],
) -> ExactEvidence:
    """Computes log p(x) of each datum; memory does not grow with n.

    Models with a `Categorical` prior or a `BernoulliPrior` are summed over all latent values,
    linear-Gaussian ones (`tb.models.linear_gaussian`, and `linear_state_space` by the Kalman
    filter) have a closed form, and any other with one or two real latent dimensions, a `Target`
    too, is integrated on a grid.

    Args:
        model: p(x, z).
        x: Data of shape (n, d); none for a `Target`.
        points: Grid points in each dimension of a quadrature, one more than a multiple of 6; by
            default 4,099 in one and 511 in two. Too few show in `error`.
        execution: `key`, of the binarisation alone, `binarize`, `batch_size` (by default what keeps
            n times states times d below 2^23) and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: A model with none of the three ways, data outside the likelihood's support (row
            and column are named), or wrong sizes.
        NonFiniteError: A density that is NaN or infinite on the grid (the z is named), zero all
            over it, or that does not fall towards its ends.
    """
    run = Execution.of(exact, execution, without=("chunk", "resume", "keep"))
    if points is not None:
        (points,) = at_least(7, points=points)
        if points % 6 != 1:
            raise UsageError(f"expected points one more than a multiple of 6, got {points}")
    estimate, method, at_once = _way(model, points)
    data = prepared(model, x, run.binarize, run.key, np.float64)

    def in_double(values: Data, rows: Int[Array, " b"]) -> Batch:
        with double():
            log_z, error = map(np.asarray, estimate(undrawn(data, values, rows), rows))
        none = np.zeros_like(log_z)
        found = Found(log_z, none, none, none, {"error": error})
        return Batch(found, np.isnan(log_z) | (log_z == np.inf))

    found = run.estimate(
        in_double,
        data,
        model=model,
        direction="exact",
        method=method,
        draws=0,
        terms=None,
        doing="summing",
        at_once=at_once(data),
    )
    return ExactEvidence(**vars(found))


def closed(model: Model) -> bool:
    """Whether log p(x) is a sum over few latent values or a closed form, at next to no cost."""
    return isinstance(model.prior, AbstractFinite) or _closed_form(model) is not None


def _way(
    model: Model, points: int | None
) -> tuple[Callable[[Any, Any], tuple[Any, Any]], str, Callable[[Prepared], int]]:
    """What gives values and errors of a batch, its name, and data at once."""
    if isinstance(model.prior, AbstractFinite):
        states = check_finite(model).states

        def summed(values: Any, rows: Any) -> tuple[Any, Any]:
            del rows
            log_z = _summed(widened(model), values)
            return log_z, _rounding(log_z)

        how = f"the sum over {states} latent values"
        return summed, how, lambda data: items_at_once(model, data.source.size)
    form = _closed_form(model)
    if form is not None:
        log_evidence_of, how = form

        def closed(values: Any, rows: Any) -> tuple[Any, Any]:
            del rows
            log_z = log_evidence_of(model, *map(np.asarray, _known(values)))
            return log_z, _rounding(log_z)

        return closed, how, lambda data: data.n
    dim = _real_dimensions(model)
    count = POINTS[dim] if points is None else points

    def integrated(values: Any, rows: Any) -> tuple[Any, Any]:
        try:
            found = _integrated(widened(model), values, dim=dim, points=count)
        except TypeError as error:
            raise UsageError(
                "quadrature is done in double precision, and log p(x, z) could not be: "
                f"{str(error).splitlines()[0]} Write constants so that they take any precision"
            ) from error
        _check_integrals(found, np.asarray(rows), of_data=not isinstance(model, Target))
        return found.log_z, found.error

    how = f"quadrature with {' x '.join([str(count)] * dim)} points"
    return integrated, how, lambda data: 8


def _closed_form(model: Model) -> tuple[Callable[..., Any], str] | None:
    """What gives log p(x) of data and which are known, and its name; None where nothing does."""
    if isinstance(model, Target):
        return None
    if is_linear_gaussian(model):
        return linear_log_evidence, "a linear-Gaussian model in closed form"
    if is_linear_state_space(model):
        return kalman_log_evidence, "a linear-Gaussian state-space model by the Kalman filter"
    return None


def _known(values: Data) -> tuple[Any, ...]:
    """The values, and behind them which of them are known if some are missing."""
    return (values,) if not isinstance(values, Datum) else (values.x, values.observed)


def _rounding(log_z: Any) -> Any:
    """What double precision may have rounded off."""
    return ROUNDINGS * np.finfo(np.float64).eps * (1 + np.abs(np.asarray(log_z)))


def _check_integrals(found: Integral, rows: Any, *, of_data: bool) -> None:
    """Refuses integrals that are none, in words.

    Raises:
        NonFiniteError: The row and the z are named.
    """
    log_z, error, undefined, where = (np.asarray(of) for of in found)
    for i, row in enumerate(rows):
        what = f"log p(x, z) of row {row} (counted from 0)" if of_data else "the log-density"
        if undefined[i]:
            z = ", ".join(f"{value:.6g}" for value in where[i])
            raise NonFiniteError(
                f"{what} is NaN or infinite at z = ({z}), and no integral can be made of it: it "
                "should be a number, or -inf where the density is zero"
            )
        if log_z[i] == -np.inf:
            raise NonFiniteError(f"{what} is -inf all over the grid of the quadrature")
        if not np.isfinite(error[i]):
            raise NonFiniteError(
                f"{what} does not fall towards the ends of the grid: either its integral is not "
                "finite, or its tails are too heavy for quadrature; use tb.evaluate with a "
                "heavy-tailed proposal"
            )


def _real_dimensions(model: Model) -> int:
    """How many real dimensions z has, if they can be integrated over.

    Raises:
        UsageError: More than two, or other values.
    """
    if model.prior.support == "real":
        dim = sum(leaf.size for leaf in jax.tree.leaves(like_z(model)))
        if dim in POINTS:
            return dim
        got = f"{type(model.prior).__name__} in {dim} real dimensions"
    else:
        got = f"{type(model.prior).__name__} with {model.prior.support} values"
    raise UsageError(
        "expected a prior that can be summed over (Categorical or BernoulliPrior), a "
        "linear-Gaussian model, or one or two real latent dimensions, "
        f"got {got}; estimate log p(x) with tb.evaluate or tb.evidence.annealed"
    )


@filter_jit
def _integrated(model: Model, x: Data, *, dim: int, points: int) -> Integral:
    """The integral for each datum, in the precision of x."""
    dtype = values_of(x).dtype
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, dtype), like_z(model))
    unravel = ravel_pytree(zeros)[1]

    def one(x: One) -> Integral:
        check = model.continued if isinstance(model, NumPyroTarget) else None
        return integral(lambda z: model.log_joint(x, unravel(z)), dim, points, check)

    return jax.lax.map(one, x)


Exact = estimator("Exact", exact)
"""`exact` with its settings, as a value: see `tb.evaluate(by=...)`."""
