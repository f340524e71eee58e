"""Denoising: clean images given noisy ones, with noise whose law is known.

p(clean | noisy) = E_{p(z|noisy)} p(clean | noisy, z). Draws of q(z|noisy), an encoder that was made
for clean images, are weighted by p(noisy, z) / q(z|noisy) with the noise integrated out, and each
clean pixel is conditioned on its noisy one: a pass through encoder and decoder does neither.

Reference: Bishop 2006, Pattern Recognition and Machine Learning, eq. 2.115 - 2.117 (normal noise);
Mattei & Frellsen 2019, arXiv 1812.02633, eq. 12 (self-normalised weights).
Bias: that of `predictive`.
"""

import math
from typing import Any, Unpack

from tightbound.core.errors import UsageError, at_least
from tightbound.data import DataLike
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.likelihoods.degraded import AbstractDegraded
from tightbound.likelihoods.noised import Flipped, Noised
from tightbound.models import Bayesian, Model
from tightbound.models.shapes import item_shape
from tightbound.tasks.degraded import is_binary, of_degraded, restored
from tightbound.tasks.images import as_images
from tightbound.tasks.marginals import rows_of, single
from tightbound.tasks.predictive import K
from tightbound.tasks.restored import Restored


def denoise(
    model: Model | Bayesian,
    posterior: Any,
    x: DataLike,
    *,
    noise: Any,
    draws: int = 20,
    k: int = K,
    adapt: bool = True,
    **execution: Unpack[ExecutionSettings],
) -> Restored:
    """What is expected of clean images given noisy ones.

    Args:
        model: p(x, z) of clean images, with a likelihood of independent binary or normal values.
        posterior: q(z|x) of clean images, the proposal; None for a model of finitely many z.
        x: Noisy images of shape (n, *item); NaN where pixels are missing, which are filled too.
        noise: Of binary images the probability with which each pixel was turned into the other
            value, up to 1/2; of others the standard deviation of normal noise, in the data's units.
        draws: Clean images for each.
        k: Draws of z for each image.
        adapt: Fit a proposal to each image of which k draws of q are too few: see
            `tb.tasks.predictive`.
        execution: `key`, `binarize`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: Noise that is none, a likelihood without a closed form, data that do not suit
            the model, or as `tb.tasks.predictive` says.
        NonFiniteError: A log-weight is NaN or +inf; the rows are named.
    """
    run = Execution.of(denoise, execution, without=("chunk", "resume", "keep"))
    model = single(model)
    draws, k = at_least(1, draws=draws, k=k)
    degraded = noised(model, noise)
    images, came = as_images(x, "the noisy images")
    rows = rows_of(of_degraded(model, degraded), images, run.key, run.binarize)
    return restored(
        model,
        posterior,
        rows,
        degraded,
        image=came,
        seen=came,
        draws=draws,
        k=k,
        adapt=adapt,
        run=run,
    )


def noised(model: Model, noise: Any) -> AbstractDegraded:
    """The likelihood of noisy images.

    Raises:
        UsageError: As for `denoise`.
    """
    binary, item = is_binary(model, "denoising"), item_shape(model)
    number = isinstance(noise, int | float) and not isinstance(noise, bool)
    if binary:
        if not number or not 0 < noise <= 0.5:
            raise UsageError(
                "expected noise= as the probability of a flipped bit, above 0 and up to 0.5, for "
                f"the likelihood of binary values, got {noise!r}"
            )
        return Flipped(model.likelihood, item, float(noise))
    if not number or not 0 < noise < math.inf:
        raise UsageError(
            "expected noise= as the standard deviation of normal noise, a finite number above 0 in "
            f"the data's units, got {noise!r}"
        )
    return Noised(model.likelihood, item, float(noise))
