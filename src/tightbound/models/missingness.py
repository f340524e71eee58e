"""A model of the values and of which of them are missing: data missing not at random.

Ipsen, Mattei & Frellsen 2021, arXiv 2006.12871 (not-MIWAE): with K draws of z and x_m,

    log p(x_o, s) >= E log (1/K) sum_k p(x_o|z_k) p(z_k) / q(z_k|x_o) p(s|x_o, x_m,k).

Here x_m is a function of z and of noise, which is a further latent with the prior N(0, I) and the
posterior N(0, I): the model is an ordinary one, and the bound above its "iwae(k=K)".
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least, unknown
from tightbound.core.items import Datum, having
from tightbound.core.names import MASKS
from tightbound.core.streams import as_key, stream
from tightbound.data import DataLike, as_values, check_values
from tightbound.distributions import WithNoise
from tightbound.likelihoods import Masked
from tightbound.likelihoods.masks import (
    SIGNS,
    AbstractMask,
    ConstantMask,
    NetworkMask,
    SelfMasking,
    View,
)
from tightbound.models.model import Model
from tightbound.models.shapes import item_shape, like_condition, like_z
from tightbound.models.standardization import view


def missingness(
    model: Model,
    posterior: Any,
    *,
    kind: str = "self_masking",
    sign: str | Sequence[str] = "unknown",
    censored: DataLike | None = None,
    hidden: Sequence[int] = (128,),
    activation: str = "tanh",
    key: int | PRNGKeyArray = 0,
) -> tuple[Model, Any]:
    """Adds a model p(s|x) of the mask: of which values of x are observed (s_j = 1).

    The result is fitted, evaluated and asked for predictions as any other; its log-evidence is
    log p(x_observed, s) in nats, and its z is (z, noise). Without assumptions on p(s|x) and p(x)
    data cannot tell what is missing: `kind` and `sign` are those assumptions, and no fit checks
    them.

    Args:
        model: p(x, z), whose x is one vector, with entries that are independent given z: Gaussian,
            log-normal, Student-t, or levels (summed over), as `tb.autoencoder` makes them.
        posterior: q(z|x), with a density.
        kind: "self_masking" (the logit of x_j being observed is c_j - w_j u_j, in which u are the
            values as networks see them, standardised; a column with levels has a logit for each),
            "linear" (A u + b), "nonlinear" (a network of u) or "constant" (a rate for each column,
            whatever x is: log p(x_observed) + log p(s), as if the mask had no model).
        sign: Of "self_masking": "high_missing" (w_j > 0), "low_missing" (w_j < 0) or "unknown", for
            all columns of numbers or as a list with one for each column of x.
        censored: The data, NaN where values are missing, if they are so beyond an end: a limit of
            detection, an instrument that saturates. Slopes, of known signs, then start steep, at
            the outermost value of each column that is observed; from 0 they hardly come there.
        hidden: Widths of the hidden layers of "nonlinear".
        activation: Their activation.
        key: Seed or key of the initialisation of "linear" and "nonlinear".

    Returns:
        `(model, posterior)`.

    Raises:
        UsageError: An unknown kind or sign, a sign for another kind or for a column of levels,
            censored data without signs or of another size or without any value in a column, a
            posterior without a density, a likelihood whose values are no differentiable function of
            noise (counts, families other than the above), or levels under "linear" or "nonlinear".
    """
    if not isinstance(model, Model) or isinstance(model.likelihood, Masked):
        got = "one whose mask has a model" if isinstance(model, Model) else type(model).__name__
        raise UsageError(f"expected a tb.Model without a model of the mask, got {got}")
    if kind not in MASKS:
        raise unknown("the kind of mask", kind, MASKS)
    if "density" not in getattr(posterior, "offers", ()):
        raise UsageError(
            "a model of the mask needs a posterior q(z|x) with a density, got "
            f"{type(posterior).__name__}"
        )
    shape = item_shape(model)
    if len(shape) != 1:
        raise UsageError(f"expected a model whose x is one vector, got items of shape {shape}")
    widths = {f"hidden[{i}]": n for i, n in enumerate(hidden)}
    at_least(1, **widths)
    of = View(view(model), *shape)
    levels = _levelled(model)
    signs = _signs(kind, sign, of)
    ends = None if censored is None else _ends(censored, signs)
    mask_key = stream(as_key(key), "missingness")
    mask = _mask(kind, of, signs, ends, tuple(hidden), activation, mask_key)
    if levels and not mask.separate:
        raise UsageError(
            f"column {min(levels)} (counted from 0) has levels, over which a mask of the kind "
            f"{kind!r} cannot be summed column by column: expected kind='self_masking'"
        )
    layered = isinstance(like_z(model), tuple)
    found = Model(
        WithNoise(model.prior, shape[0], layered),
        Masked(model.likelihood, mask, layered),
        condition=model.condition,
    )
    datum = Datum(jnp.zeros(shape), jnp.zeros(shape, bool), like_condition(model))
    # A likelihood without push says so here, and not in the middle of a fit.
    eqx.filter_eval_shape(found.log_likelihood, datum, like_z(found))
    return found, WithNoise(posterior, shape[0], layered)


def without_mask(model: Model) -> Model:
    """P(x, z) as it was before `missingness`, with what has been fitted since: it has draws of x.

    Its log p(x_observed) is not that of a fit that takes values as missing at random.

    Raises:
        UsageError: A model without a model of the mask.
    """
    if not isinstance(model, Model) or not isinstance(model.likelihood, Masked):
        raise UsageError("expected a model of tb.models.missingness, got one of values alone")
    return Model(model.prior.inner, model.likelihood.likelihood, condition=model.condition)


def _mask(
    kind: str,
    of: View,
    signs: tuple[int, ...],
    ends: Float[np.ndarray, " d"] | None,
    hidden: tuple[int, ...],
    activation: str,
    key: PRNGKeyArray,
) -> AbstractMask:
    if kind == "constant":
        return ConstantMask(jnp.zeros(of.dim))
    if kind == "self_masking":
        return SelfMasking.of(of, signs, ends)
    return NetworkMask.of(of, hidden if kind == "nonlinear" else (), activation, key)


def _ends(data: DataLike, signs: tuple[int, ...]) -> Float[np.ndarray, " d"]:
    """The outermost value of each column that is observed, on the side where others are missing."""
    x = as_values(data, "the censored data").x
    if x.ndim != 2 or x.shape[1] != len(signs):
        raise UsageError(f"expected censored= of shape (n, {len(signs)}), got {x.shape}")
    check_values(x, "real", "the censored data", holes=True)
    if not any(signs):
        raise UsageError("censored= needs sign=: at which end of the values others are missing")
    empty = np.isnan(x).all(axis=0)
    if empty.any():
        raise UsageError(
            f"censored=: column {int(np.argmax(empty))} (counted from 0) has no value at all"
        )
    return np.where(np.array(signs) < 0, np.nanmin(x, axis=0), np.nanmax(x, axis=0))


def _levelled(model: Model) -> set[int]:
    """The numbers of the columns that have levels."""
    beside = like_condition(model)
    given = like_z(model)
    probs = eqx.filter_eval_shape(lambda z: model.likelihood.level_probs(having(z, beside)), given)
    return set(probs)


def _signs(kind: str, sign: Any, of: View) -> tuple[int, ...]:
    """The sign of each column's slope, 0 where it is not known."""
    if kind != "self_masking" and sign != "unknown":
        raise UsageError(f"sign={sign!r} is for kind='self_masking', got kind={kind!r}")
    each = [sign] * of.dim if isinstance(sign, str) else list(sign)
    if len(each) != of.dim:
        raise UsageError(f"expected sign= as one word or {of.dim} of them, got {len(each)}")
    without = set(of.places[of.levelled])
    for column, one in enumerate(each):
        if one not in SIGNS:
            raise unknown("the sign", one, SIGNS)
        if column in without and not isinstance(sign, str) and one != "unknown":
            raise UsageError(
                f"column {column} (counted from 0) has levels, each with a rate of its own: "
                f"expected the sign 'unknown' for it, got {one!r}"
            )
    return tuple(SIGNS[one] for one in each)
