"""Super-resolution: large images given small ones, whose pixels are means of squares of theirs.

As in denoising, with p(small | z) exact: normal under normal likelihoods, and under binary ones the
law of a sum of independent bits. Every draw, and what is expected, has the means that were seen.

Reference: Chen & Liu 1997, Statistica Sinica 7 (sums of bits); Sonderby et al. 2016, arXiv
1610.04490, section 3 (the degradation); Mattei & Frellsen 2019, arXiv 1812.02633, eq. 12 (weights).
Bias: that of `predictive`.
"""

import math
from collections.abc import Sequence
from typing import Any, Unpack

from tightbound.core.errors import UsageError, at_least
from tightbound.data import DataLike
from tightbound.distributions.restoration import BlockMeans
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.likelihoods.block_counts import BinaryBlockMeans
from tightbound.likelihoods.block_means import NormalBlockMeans
from tightbound.models import Bayesian, Model
from tightbound.models.shapes import item_shape
from tightbound.tasks.degraded import is_binary, of_degraded, restored
from tightbound.tasks.images import Shape, as_images, image_shape
from tightbound.tasks.marginals import rows_of, single
from tightbound.tasks.predictive import K
from tightbound.tasks.restored import Restored


def super_resolve(
    model: Model | Bayesian,
    posterior: Any,
    x: DataLike,
    *,
    factor: int,
    shape: Sequence[int] | None = None,
    draws: int = 20,
    k: int = K,
    adapt: bool = True,
    **execution: Unpack[ExecutionSettings],
) -> Restored:
    """What is expected of large images given small ones.

    Args:
        model: p(x, z) of large images, with a likelihood of independent binary or normal values.
        posterior: q(z|x) of large images, the proposal; None for a model of finitely many z.
        x: Small images of shape (n, height, width) or (n, height, width, channels): means of
            squares of `factor` x `factor` pixels; NaN where some are missing.
        factor: By how much both sides are longer.
        shape: (height, width) or (height, width, channels) of large images, where small ones come
            as rows of numbers.
        draws: Large images for each.
        k: Draws of z for each image.
        adapt: Fit a proposal to each image of which k draws of q are too few: see
            `tb.tasks.predictive`.
        execution: `key`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: Sizes that do not fit, a likelihood without a closed form, means that binary
            pixels cannot have, a model with conditions, or as `tb.tasks.predictive` says.
        NonFiniteError: A log-weight is NaN or +inf; the rows are named.
    """
    run = Execution.of(super_resolve, execution, without=("binarize", "chunk", "resume", "keep"))
    model = single(model)
    (factor,) = at_least(2, factor=factor)
    draws, k = at_least(1, draws=draws, k=k)
    if model.condition:
        raise UsageError("super-resolution is for models without conditions, and this one has some")
    binary, item = is_binary(model, "super-resolution"), item_shape(model)
    images, came = as_images(x, "the small images")
    image = _large(came, item, shape, factor)
    degrade = BlockMeans((image[0], image[1], math.prod(image[2:])), factor)
    kind = BinaryBlockMeans if binary else NormalBlockMeans
    degraded = kind(model.likelihood, degrade, item)
    rows = rows_of(of_degraded(model, degraded), images, run.key, "none")
    return restored(
        model,
        posterior,
        rows,
        degraded,
        image=image,
        seen=came,
        draws=draws,
        k=k,
        adapt=adapt,
        run=run,
    )


def _large(came: Shape, item: Shape, shape: Sequence[int] | None, factor: int) -> Shape:
    """The shape of large images.

    Raises:
        UsageError: It is not known, the factor does not divide it, or it is not the model's.
    """
    if len(came) in (2, 3) and shape is None:
        image = (factor * came[0], factor * came[1], *came[2:])
        if math.prod(image) != math.prod(item):
            raise UsageError(
                f"small images of shape {came} are {image} after super-resolution by factor="
                f"{factor}, {math.prod(image)} values, and the model's images have "
                f"{math.prod(item)}"
            )
        return image
    found = image_shape((), item, shape)
    if found is None:
        raise UsageError(
            "expected small images of shape (n, height, width), or shape=(height, width) of large "
            f"ones, got rows of shape {came}"
        )
    if found[0] % factor or found[1] % factor:
        raise UsageError(f"expected a factor that divides both sides of {found}, got {factor}")
    if math.prod(came) * factor**2 != math.prod(found):
        raise UsageError(
            f"expected small images of {math.prod(found) // factor**2} values for large ones of "
            f"shape {found} and factor={factor}, got {math.prod(came)}"
        )
    return found
