"""Inpainting: pixels that are hidden, given those that are seen, by weighted draws of z.

Where the values in the holes are known, log p(hidden | seen) = log p(x) - log p(seen) says how well
they were foreseen, each term by draws of its own.

Reference: Mattei & Frellsen 2019, arXiv 1812.02633, section 3 (weights for what is missing).
Bias: that of `predictive`; of the log-score of order stderr^2 / 2 of either term, in opposite
directions. None where z is enumerated.
"""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import streams
from tightbound.data import DataLike
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.models import Bayesian, Model
from tightbound.tasks.images import as_images, image_shape, mask_of
from tightbound.tasks.marginals import (
    Marginals,
    RowEvidence,
    less,
    of_values_alone,
    rows_of,
    single,
)
from tightbound.tasks.predictive import K, predictive
from tightbound.tasks.restored import Restored


def inpaint(
    model: Model | Bayesian,
    posterior: Any,
    x: DataLike,
    mask: Any = None,
    *,
    shape: Sequence[int] | None = None,
    draws: int = 20,
    k: int = K,
    adapt: bool = True,
    **execution: Unpack[ExecutionSettings],
) -> Restored:
    """Images with hidden pixels filled by what is expected of them given the others.

    Args:
        model: p(x, z) whose likelihood takes missing values.
        posterior: q(z|x), the proposal; None for a model of finitely many z.
        x: Images of shape (n, *item); NaN where pixels are missing, which are filled too.
        mask: True where pixels are to be filled: of one image's shape, (height, width) for all
            channels, or with one for each image; or in words: "left half", "right half", "upper
            half", "lower half", "centre", "random 50%" (pixels drawn for each image). Values of x
            behind it are not seen by the model, and scored (`log_score`).
        shape: (height, width) or (height, width, channels) where images come as rows of numbers.
        draws: Whole images for each.
        k: Draws of z for each image.
        adapt: Fit a proposal to each image of which k draws of q are too few: see
            `tb.tasks.predictive`.
        execution: `key`, `binarize`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: No mask and no missing value, a mask that does not suit the images, a model of
            the mask, or as `tb.tasks.predictive` says.
        NonFiniteError: A log-weight is NaN or +inf; the rows are named.
    """
    run = Execution.of(inpaint, execution, without=("chunk", "resume", "keep"))
    model = single(model)
    of_values_alone(model, "inpainting")
    draws, k = at_least(1, draws=draws, k=k)
    images, came = as_images(x, "the images")
    rows = rows_of(model, images, run.key, run.binarize)
    n = len(rows.values)
    item = rows.values.shape[1:]
    mask_key, score_key = streams(run.key, "inpaint.mask", "inpaint.joint")
    image = image_shape(came, item, shape)
    if mask is None:
        if rows.known.all():
            raise UsageError("nothing is hidden: expected mask=, or NaN in x where to fill")
        mask = np.zeros(came, bool)
    behind = mask_of(mask, came, image, n, mask_key)
    seen = rows.at(np.arange(n), rows.known & ~behind)
    how = {"key": run.key, "batch_size": run.batch_size, "progress": run.progress}
    found = predictive(model, posterior, seen.source(model), draws=draws, k=k, adapt=adapt, **how)
    score, error = np.full(n, np.nan), np.full(n, np.nan)
    told = np.flatnonzero((rows.known & behind).any(axis=1))
    if len(told):
        whole = RowEvidence.of(
            Marginals(model, posterior, k, run).log_p(rows.at(told, rows.known[told]), score_key)
        )
        some = seen.known[told].any(axis=1)  # log p of nothing is 0
        score[told] = less(whole.log_p, np.where(some, found.log_evidence[told], 0.0))
        error[told] = np.hypot(whole.stderr, np.where(some, found.stderr[told], 0.0))
    return Restored(
        x=found.mean.reshape(n, *came),
        stderr=found.mean_stderr.reshape(n, *came),
        draws=found.draws.reshape(draws, n, *came),
        seen=seen.values.reshape(n, *came),
        hidden=~seen.known.reshape(n, *came),
        log_evidence=found.log_evidence,
        log_evidence_stderr=found.stderr,
        ess=found.ess,
        khat=found.khat,
        k=k,
        adapted=found.adapted,
        seconds=run.seconds,
        log_score=score,
        log_score_stderr=error,
    )
