"""Where rows lie in latent space: means, spreads and draws of z given x, and a map of them.

Reference: Pearson 1901 (principal components); Kingma & Welling 2014, arXiv 1312.6114, figure 4
(the plane of two latent dimensions).
Bias: that of `codes`, of order 1 / ESS; none of a finite z.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import numpy as np
from jaxtyping import Bool, Float

from tightbound.core.errors import UsageError, at_least
from tightbound.data import DataLike
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.models import Bayesian, Model
from tightbound.tasks.codes import coded, enumerated
from tightbound.tasks.enough import and_too_few, too_few
from tightbound.tasks.marginals import single
from tightbound.tasks.predictive import K


class LatentMap(NamedTuple):
    """Two dimensions of latent space: z itself where it has two, else principal components."""

    points: Float[np.ndarray, "n 2"]
    """Means of the rows."""
    draws: Float[np.ndarray, "m n 2"]
    """Their draws: together they are the density of the data under the model's posterior."""
    axes: Float[np.ndarray, "2 latent"]
    """Directions of the map in latent space, of length one."""
    centre: Float[np.ndarray, " latent"]
    """What is at the map's origin."""
    shares: tuple[float, float]
    """Of the variance of the means that each direction has."""
    exact: bool
    """Whether the map is z itself, and leaves nothing out."""

    @property
    def names(self) -> tuple[str, str]:
        """Of the two directions, with the variance that they show."""
        if self.exact:
            return "z1", "z2"
        first, second = (f"{share:.0%}" for share in self.shares)
        return f"component 1 ({first} of variance)", f"component 2 ({second})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedded:
    """The posterior p(z|x_observed) of n rows; layers of z stand one behind the other."""

    codes: Float[np.ndarray, "n latent"]
    """E[z|x_observed], as of `tb.tasks.encode`; of a finite z the probability of each value."""
    sd: Float[np.ndarray, "n latent"]
    """Standard deviation of each latent under p(z|x_observed), not an error of `codes`; NaN where
    one draw has all the weight."""
    draws: Float[np.ndarray, "m n latent"]
    """Draws of p(z|x_observed), of equal weight; of a finite z ones at the values drawn."""
    log_evidence: Float[np.ndarray, " n"]
    """Log p(x_observed) in nats, by the same draws of z."""
    stderr: Float[np.ndarray, " n"]
    ess: Float[np.ndarray, " n"]
    """Effective number of draws of z, of k; infinite where all z are enumerated."""
    khat: Float[np.ndarray, " n"]
    """Shape of the weights' tail: beyond 0.7 draws of z are too few, whatever their number."""
    k: int
    finite: bool
    """Whether z takes finitely many values, of which `codes` are probabilities."""
    seconds: float

    @property
    def unsure(self) -> Bool[np.ndarray, " n"]:
        """Rows for which draws of z are too few: k-hat beyond 0.7, or ESS below 20."""
        return too_few(self.khat, self.ess)

    def map(self) -> LatentMap:
        """Where the rows lie in two dimensions.

        Of a z of two dimensions it is z itself; else the first two principal components of the
        means, each with its share of their variance.

        Raises:
            UsageError: One latent dimension, sequences that end at different steps, or rows whose
                means are all the same.
        """
        latent = self.codes.shape[1]
        if latent < 2:
            raise UsageError("a map has two dimensions: expected a z of two or more, got one")
        codes = self.codes.astype(np.float64)
        if np.isnan(codes).any():
            raise UsageError(
                "a map needs codes of one length: expected sequences that all end at the last "
                "step, got some that end before"
            )
        exact = latent == 2 and not self.finite
        axes, centre = np.eye(latent)[:2], np.zeros(latent)
        variance = codes.var(axis=0)
        if not exact:
            centre = codes.mean(axis=0)
            _, lengths, directions = np.linalg.svd(codes - centre, full_matrices=False)
            if len(directions) < 2 or lengths[0] == 0:
                raise UsageError(
                    "a map needs rows that differ: expected two means of z or more, got one"
                )
            axes = directions[:2]
            # Of a direction and its opposite the one whose largest entry is positive.
            largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
            axes, variance = axes * np.sign(largest), lengths**2
        total = variance.sum()
        first, second = (float(part / total) if total > 0 else 0.0 for part in variance[:2])
        return LatentMap(
            points=(codes - centre) @ axes.T,
            draws=(self.draws - centre) @ axes.T,
            axes=axes,
            centre=centre,
            shares=(first, second),
            exact=exact,
        )

    def summary(self) -> str:
        """How many codes there are, and of which rows the draws are too few."""
        n, latent = self.codes.shape
        if self.finite:
            return f"probabilities of {latent} values of z for {n:,} rows, exact"
        words = (
            f"{latent} latents of {n:,} rows, median ESS {np.median(self.ess):.0f} of {self.k:,}"
        )
        return words + and_too_few(self.unsure, self.k, "rows")


def embed(
    model: Model | Bayesian,
    posterior: Any,
    x: DataLike,
    *,
    k: int = K,
    draws: int = 20,
    **execution: Unpack[ExecutionSettings],
) -> Embedded:
    """Means, standard deviations and draws of z given each row, by weighted draws of q(z|x).

    Args:
        model: p(x, z).
        posterior: q(z|x), the proposal; None for a model of finitely many z.
        x: Data of shape (n, *item), NaN where values are missing; or a source of them.
        k: Draws of z for each row, two or more.
        draws: Of them those that are kept, chosen with probability proportional to their weights.
        execution: `key`, `binarize`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: k < 2, draws < 1, or as for `tb.tasks.predictive`.
        NonFiniteError: A log-weight is NaN or +inf; the rows are named.
    """
    run = Execution.of(embed, execution, without=("chunk", "resume", "keep"))
    model = single(model)
    (k,), (draws,) = at_least(2, k=k), at_least(1, draws=draws)
    found = coded(model, posterior, x, run, k=k, draws=draws, doing="embedding")
    return Embedded(
        codes=found.mean,
        sd=found.sd,
        draws=np.swapaxes(found.draws, 0, 1),
        log_evidence=found.log_evidence,
        stderr=found.stderr,
        ess=found.ess,
        khat=found.khat,
        k=k,
        finite=enumerated(model, posterior),
        seconds=run.seconds,
    )
