"""What a step of the ladder says: a number, its error, and whether it is to be believed."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tightbound.core.compilation import filter_jit
from tightbound.evidence.estimate import of_log_weights, weighed
from tightbound.evidence.self_normalised import ess_of, shares_of
from tightbound.evidence.terms import DRAWS, Terms
from tightbound.evidence.verdict import judge

AGREE = 0.05
"""Nats within which two rungs are one, beside twice their standard errors."""

of_weights = filter_jit(of_log_weights)


class Rung(NamedTuple):
    """What one step of the ladder said, in nats."""

    words: str
    log_evidence: float
    stderr: float
    khat: float
    verdict: str
    cost: int
    """Evaluations of the density and of its gradient so far."""


class Drawn(NamedTuple):
    """Weighted draws in units u."""

    u: Float[np.ndarray, "n d"]
    log_w: Float[np.ndarray, " n"]


class Scored(NamedTuple):
    """What weights say: a number, its error, and whether it is to be believed."""

    log_evidence: float
    stderr: float
    khat: float
    verdict: str


def scored(log_w: Float[np.ndarray, " n"], terms: Terms = DRAWS) -> Scored:
    """The evidence by weighted draws, or chains, as every estimator judges it."""
    top = float(np.max(log_w))
    of = of_weights(jnp.asarray(log_w - top, jnp.float32)[None], terms)
    known = weighed(len(log_w), of.stderr, of.tail)
    khat = float(of.tail["khat"][0])
    return Scored(top + float(of.log_z[0]), float(of.stderr[0]), khat, judge(known, terms).word)


def effective(log_w: Float[np.ndarray, " n"]) -> float:
    """Effective number of draws."""
    return float(ess_of(shares_of(log_w)))


def apart(one: Rung, other: Rung) -> float:
    """By how much one rung is above another, beyond what their errors allow."""
    error = math.hypot(one.stderr, other.stderr)
    return max(one.log_evidence - other.log_evidence - max(AGREE, 2.5 * error), 0.0)
