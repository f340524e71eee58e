"""Clean images given degraded ones: the predictive distribution of what is always missing.

A row is (x, y) with the clean x missing and the degraded y known: z is weighed by p(y, z) / q(z|~x)
with a proposal that is given an image like y, and x drawn from p(x | y, z).
"""

import math
from typing import Any

import equinox as eqx
import numpy as np

from tightbound.core.errors import UsageError
from tightbound.core.items import having
from tightbound.distributions import AbstractFinite
from tightbound.evidence.densities import with_density
from tightbound.evidence.execution import Execution, per_device
from tightbound.likelihoods.degraded import AbstractDegraded, OfDegraded, WithClean
from tightbound.likelihoods.noised import ones_and_zeros
from tightbound.models import Model
from tightbound.models.shapes import item_shape, like_condition, like_z
from tightbound.models.source import as_source
from tightbound.tasks.images import Shape
from tightbound.tasks.marginals import Rows, of_values_alone
from tightbound.tasks.predictive import NUMBERS, predictive
from tightbound.tasks.restored import Restored


def is_binary(model: Model, what: str) -> bool:
    """Whether the likelihood's values are binary; else they are normal.

    Raises:
        UsageError: They are neither, or not independent given z, or the model is one of sequences
            or of the mask.
    """
    of_values_alone(model, what)
    if model.prior.sees_data:
        raise UsageError(f"{what} is for images: expected a model of these, got one of sequences")
    likelihood = model.likelihood
    given = having(like_z(model), like_condition(model))
    binary = likelihood.support == "binary"
    try:
        if binary:
            shape = item_shape(model)
            eqx.filter_eval_shape(lambda z: ones_and_zeros(likelihood, shape, z), given)
        else:
            eqx.filter_eval_shape(likelihood.normal_each, given)
    except UsageError as error:
        raise UsageError(
            f"{what} needs p(degraded | z) in closed form: expected a likelihood of binary or of "
            "normal values that are independent given z (bernoulli, gaussian, gaussian_unit_mean, "
            "gaussian_scalar, gaussian_column, gaussian_fixed), got "
            f"{type(likelihood).__name__} of values that are {likelihood.support}"
        ) from error
    return binary


def of_degraded(model: Model, degraded: AbstractDegraded) -> Model:
    """The model p(y, z) of degraded data by themselves."""
    return Model(model.prior, degraded, condition=model.condition)


def restored(
    model: Model,
    posterior: Any,
    rows: Rows,
    degraded: AbstractDegraded,
    *,
    image: Shape,
    seen: Shape,
    draws: int,
    k: int,
    adapt: bool,
    run: Execution,
) -> Restored:
    """Clean images by weighted draws of z.

    Args:
        model: p(x, z).
        posterior: q(z|x) of clean images; None for a model of finitely many z.
        rows: The degraded data, as the model of these sees them.
        degraded: What was done to them.
        image: The shape in which clean images come back.
        seen: That of degraded ones.
        draws: Clean images for each.
        k: Draws of z for each.
        adapt: As for `tb.tasks.predictive`.
        run: How the call is carried out.

    Raises:
        UsageError: As for `tb.tasks.predictive`.
        NonFiniteError: A log-weight is NaN or +inf.
    """
    item, y = item_shape(model), rows.values
    n, d = len(y), math.prod(item)
    both = WithClean(degraded, item, y.shape[1:])
    joint = Model(model.prior, both, condition=model.condition)
    if posterior is not None:
        own = with_density(posterior, model, run.key, "restoration")
        posterior = OfDegraded(own, both, not bool(rows.known.all()))
    unknown = np.full((n, d), np.nan, np.float32)
    data = as_source(
        joint,
        np.concatenate([unknown, y.reshape(n, -1)], axis=1),
        "the images",
        "none",
        conditions=rows.conditions,
    )
    enumerated = posterior is None and isinstance(model.prior, AbstractFinite)
    of_each = max(degraded.numbers, d) * ((model.prior.states if enumerated else k) + draws)
    found = predictive(
        joint,
        posterior,
        data,
        draws=draws,
        k=k,
        adapt=adapt,
        key=run.key,
        batch_size=run.batch_size or per_device(NUMBERS, of_each=of_each),
        progress=run.progress,
    )
    return Restored(
        x=found.mean[:, :d].reshape(n, *image),
        stderr=found.mean_stderr[:, :d].reshape(n, *image),
        draws=found.draws[:, :, :d].reshape(draws, n, *image),
        seen=y.reshape(n, *seen),
        hidden=np.ones((n, *image), bool),
        log_evidence=found.log_evidence,
        log_evidence_stderr=found.stderr,
        ess=found.ess,
        khat=found.khat,
        k=k,
        adapted=found.adapted,
        seconds=run.seconds,
    )
