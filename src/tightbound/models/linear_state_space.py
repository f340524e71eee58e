"""Linear-Gaussian state-space models, whose evidence and posterior the Kalman filter knows.

    z_1 ~ N(m, P),  z_t = A z_{t-1} + a + N(0, Q),  x_t = C z_t + c + N(0, R).

Kalman 1960, J. Basic Engineering 82(1).
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from tightbound.core.errors import UsageError, at_least
from tightbound.distributions import LinearNormal, Markov
from tightbound.likelihoods import Stepwise
from tightbound.models.model import Model


def linear_state_space(
    transition: ArrayLike,
    transition_covariance: ArrayLike,
    emission: ArrayLike,
    emission_covariance: ArrayLike,
    mean: ArrayLike,
    covariance: ArrayLike,
    *,
    steps: int,
    transition_offset: ArrayLike = 0.0,
    emission_offset: ArrayLike = 0.0,
) -> Model:
    """A state-space model of which `tb.evidence.exact` and `tb.evidence.kalman` know all.

    Args:
        transition: A of shape (m, m).
        transition_covariance: Q of shape (m, m), positive definite.
        emission: C of shape (d, m).
        emission_covariance: R of shape (d, d), positive definite.
        mean: Of the first state, shape (m,).
        covariance: Of the first state, shape (m, m), positive definite.
        steps: Number of steps of the longest sequence.
        transition_offset: a of shape (m,) or ().
        emission_offset: c of shape (d,) or ().

    Raises:
        UsageError: Shapes that do not fit, or a matrix that is no covariance.
    """
    (steps,) = at_least(1, steps=steps)
    a, q, c, r, m, p, move, shift = (
        np.asarray(of, np.float64)
        for of in (
            transition, transition_covariance, emission, emission_covariance, mean, covariance,
            transition_offset, emission_offset,
        )
    )  # fmt: skip
    if m.ndim != 1 or a.shape != (len(m), len(m)) or c.ndim != 2 or c.shape[1] != len(m):
        raise UsageError(
            "expected a transition of shape (m, m), an emission of shape (d, m) and a mean of "
            f"shape (m,), got {a.shape}, {c.shape} and {m.shape}"
        )
    prior = Markov(
        initial=LinearNormal.of(None, m, p, "the covariance of the first state"),
        transition=LinearNormal.of(a, _offset(move, len(m)), q, "the transition's covariance"),
        steps=steps,
    )
    law = LinearNormal.of(c, _offset(shift, len(c)), r, "the emission's covariance")
    return Model(prior, Stepwise(law, steps))


def _offset(given: Float[np.ndarray, "..."], size: int) -> Float[np.ndarray, " size"]:
    if given.shape not in ((), (size,)):
        raise UsageError(f"expected an offset of shape ({size},) or (), got {given.shape}")
    return np.broadcast_to(given, (size,))


def is_linear_state_space(model: Model) -> bool:
    """Whether all laws of a state-space model are linear and normal."""
    prior, likelihood = model.prior, model.likelihood
    if not (isinstance(prior, Markov) and isinstance(likelihood, Stepwise)):
        return False
    parts = (prior.initial, prior.transition, likelihood.step)
    return all(isinstance(part, LinearNormal) for part in parts)
