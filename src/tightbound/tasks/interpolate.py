"""Between two data: codes on a path from one mean of z to the other, and what is decoded there.

A path is a line, or an arc on which the length of codes changes evenly: draws of a normal prior in
many dimensions have lengths near sqrt(d), which the middle of a line between two of them has not.

Reference: Shoemake 1985 (arcs, spherical linear interpolation); White 2016, arXiv 1609.04468
(their use between codes).
Bias: that of `encode` at the ends.
"""

from dataclasses import dataclass
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least, unknown
from tightbound.core.streams import first_keys, stream
from tightbound.distributions import AbstractExplicit, AbstractFinite
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.models import Bayesian, Model
from tightbound.models.shapes import item_shape, like_z
from tightbound.tasks.embed import Embedded, embed
from tightbound.tasks.encode import Decoded, decode
from tightbound.tasks.marginals import single
from tightbound.tasks.predictive import K

PATHS = ("linear", "spherical")
DRAWS = 1000
"""Draws of the prior whose densities are compared with those of the path."""
USUAL = (0.025, 0.975)
"""Between these quantiles of them a density is usual."""
OPPOSITE = 1e-6
"""Of directions whose arcs are not one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Interpolated:
    """A path through latent space, from one datum to another."""

    codes: Float[np.ndarray, "steps latent"]
    """E[z|a], the steps between, E[z|b]."""
    decoded: Decoded
    """E[x|z] at each of them, and the probabilities of levels."""
    log_prior: Float[np.ndarray, " steps"]
    """Log p(z) at each in nats."""
    usual: tuple[float, float]
    """Where log p(z) lies for 95 % of draws of the prior. Below it the path leaves what the model
    was fitted to; above it too, where the density is high and next to no draws are."""
    ends: Embedded
    """The two data in latent space, with their spreads, ESS and k-hat."""

    @property
    def x(self) -> Float[np.ndarray, "steps *item"]:
        """E[x|z] at each step."""
        return self.decoded.x

    @property
    def unusual(self) -> Bool[np.ndarray, " steps"]:
        """Steps at which log p(z) is outside its usual range."""
        low, high = self.usual
        return (self.log_prior < low) | (self.log_prior > high)


def interpolate(
    model: Model | Bayesian,
    posterior: Any,
    a: Any,
    b: Any,
    *,
    steps: int = 9,
    k: int = K,
    path: str = "linear",
    **execution: Unpack[ExecutionSettings],
) -> Interpolated:
    """Codes between E[z|a] and E[z|b], and what they are decoded to.

    Args:
        model: p(x, z), without a condition and with a real z.
        posterior: q(z|x), the proposal.
        a: One item of the model's shape, NaN where values are missing.
        b: Another.
        steps: Codes on the path, with both ends.
        k: Draws of z for each end.
        path: "linear", or "spherical": along an arc about the origin.
        execution: `key`, `binarize` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: Items of another shape, fewer than two steps, an unknown path, an arc between
            opposite codes or from the origin, a z of finitely many values, or as for
            `tb.tasks.embed` and `tb.tasks.decode`.
        NonFiniteError: A log-weight is NaN or +inf.
    """
    without = ("batch_size", "chunk", "resume", "keep")
    run = Execution.of(interpolate, execution, without=without)
    model = single(model)
    (steps,) = at_least(2, steps=steps)
    if path not in PATHS:
        raise unknown("path", path, PATHS)
    if isinstance(model.prior, AbstractFinite):
        raise UsageError("expected a real z: there is nothing between finitely many values of it")
    if not isinstance(model.prior, AbstractExplicit):
        raise UsageError("expected a prior with draws and a density, to compare codes with it")
    shape = item_shape(model)
    pair = [np.asarray(item, np.float32) for item in (a, b)]
    for item in pair:
        if item.shape != shape:
            raise UsageError(f"expected two items of shape {shape}, got {item.shape}")
    how = {"key": run.key, "binarize": run.binarize, "progress": run.progress}
    ends = embed(model, posterior, np.stack(pair), k=k, draws=1, **how)
    along = arc if path == "spherical" else line
    first, last = ends.codes.astype(np.float64)
    codes = along(first, last, np.linspace(0, 1, steps))
    decoded = decode(model, codes)
    log_prior, drawn = _densities(
        model, jnp.asarray(codes, jnp.float32), stream(run.key, "interpolate.prior")
    )
    low, high = np.quantile(np.asarray(drawn), USUAL)
    return Interpolated(
        codes=codes,
        decoded=decoded,
        log_prior=np.asarray(log_prior),
        usual=(float(low), float(high)),
        ends=ends,
    )


def line(
    a: Float[np.ndarray, " d"], b: Float[np.ndarray, " d"], t: Float[np.ndarray, " s"]
) -> Float[np.ndarray, "s d"]:
    """(1 - t) a + t b."""
    return (1 - t)[:, None] * a + t[:, None] * b


def arc(
    a: Float[np.ndarray, " d"], b: Float[np.ndarray, " d"], t: Float[np.ndarray, " s"]
) -> Float[np.ndarray, "s d"]:
    """Directions on the arc from a to b at an even pace, lengths on the line between theirs.

    Raises:
        UsageError: One of them is the origin, or they are opposite: there is no one arc.
    """
    lengths = np.array([np.linalg.norm(a), np.linalg.norm(b)])
    if not lengths.all():
        raise UsageError('expected codes away from the origin for path="spherical": use "linear"')
    first, second = a / lengths[0], b / lengths[1]
    cosine = float(np.clip(first @ second, -1, 1))
    if cosine < -1 + OPPOSITE:
        raise UsageError(
            'expected codes that are not opposite for path="spherical", which has then no one arc: '
            'use "linear"'
        )
    across = second - cosine * first
    width = np.linalg.norm(across)
    across = across / width if width > 0 else across
    angle = np.arctan2(width, cosine) * t
    length = (1 - t) * lengths[0] + t * lengths[1]
    return length[:, None] * (np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * across)


@filter_jit
def _densities(
    model: Model, codes: Float[Array, "s latent"], key: PRNGKeyArray
) -> tuple[Float[Array, " s"], Float[Array, " draws"]]:
    """Log p(z) of codes, and of draws of the prior."""
    like = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like_z(model))
    unravel = ravel_pytree(like)[1]

    def of_draw(key: PRNGKeyArray) -> Float[Array, ""]:
        return model.prior.log_prob(model.prior.sample(None, key=key), None)

    of_codes = jax.vmap(lambda code: model.prior.log_prob(unravel(code), None))(codes)
    return of_codes, jax.vmap(of_draw)(first_keys(key, DRAWS))
