"""What an estimator of log p(x) gives back: per datum a value, an error, and how it went."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tightbound.evidence.batches import (
    errors,
    headline,
    mean,
    stderr_of_draws,
    stderr_of_mean,
)

RESULTS = ("ok", "few effective draws", "not finite")
"""What the codes of `Estimate.result` mean."""
FEW = 2.0
"""Below so many effective draws a single one decides the estimate."""


class Estimate(NamedTuple):
    """Log-evidence per datum in nats, larger is better; arrays of shape (n,) on the host."""

    log_evidence: Float[np.ndarray, " n"]
    stderr: Float[np.ndarray, " n"]
    """Standard error of each estimate from its own draws, by the delta method."""
    ess: Float[np.ndarray, " n"]
    """Effective number of draws (or chains)."""
    result: Int[np.ndarray, " n"]
    """0: as it should be; 1: fewer than two effective draws; 2: not finite. See `RESULTS`."""
    direction: str
    """"lower" or "upper", or "consistent" for no bound: the estimate's mean against log p(x)."""
    method: str
    """The estimator with its settings, in words."""
    draws: int
    """Draws (or chains) per datum."""
    binarisation: str
    diagnostics: dict[str, np.ndarray]
    """Numbers of the estimator's own, by name."""
    seconds: float
    rounding: Float[np.ndarray, " n"] | float = 0.0
    """How far single precision may have taken each estimate, in nats, beside `stderr`."""

    @property
    def mean(self) -> float:
        """Mean log-evidence over the data, in nats."""
        return mean(self.log_evidence)

    @property
    def stderr_draws(self) -> float:
        """Standard error of the mean from the finite number of draws."""
        return stderr_of_draws(self.stderr)

    @property
    def stderr_data(self) -> float:
        """Standard error of the mean from the finite number of data."""
        return stderr_of_mean(self.log_evidence)

    def summary(self) -> str:
        """The result in a few lines, with unit, direction, method and binarisation."""
        consistent = self.direction == "consistent"
        kind = "consistent, no bound" if consistent else f"stochastic {self.direction} bound"
        codes = ", ".join(
            f"{count} {RESULTS[code]}"
            for code, count in enumerate(np.bincount(self.result, minlength=len(RESULTS)))
            if count
        )
        return "\n".join(
            [
                headline(self.log_evidence, kind, self.binarisation),
                f"  {self.method}",
                f"  {errors(self.log_evidence, self.stderr, self.rounding)}; "
                f"median ESS {np.median(self.ess):.1f} of {self.draws}; {codes}",
            ]
        )


def of_log_weights(
    log_w: Float[Array, "n k"],
) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, " n"], Int[Array, " n"]]:
    """Log of the mean weight, its standard error, ESS and result code of each datum."""
    k = log_w.shape[1]
    total = jax.nn.logsumexp(log_w, axis=1)
    log_z = total - jnp.log(k)
    ess = jnp.minimum(jnp.exp(2 * total - jax.nn.logsumexp(2 * log_w, axis=1)), k)
    relative_variance = jnp.maximum(k / ess - 1, 0) / (k - 1 if k > 1 else jnp.nan)
    return log_z, jnp.sqrt(relative_variance), ess, result_codes(log_z, ess, k)


def undefined(log_w: Float[Array, "n k"]) -> Int[Array, " n"]:
    """How many log-weights of each datum are NaN or +inf."""
    return jnp.sum(jnp.isnan(log_w) | (log_w == jnp.inf), axis=1)


def result_codes(log_z: Any, ess: Any, k: int) -> Any:
    """The code of each datum's result, from its estimate and its effective number of k draws."""
    few = jnp.where(ess < min(FEW, k), 1, 0)
    return jnp.where(jnp.isfinite(log_z), few, 2)
