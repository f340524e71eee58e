"""What every estimator of log p(x) gives back: per datum a value, an error, and how it went."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tightbound.core.errors import UsageError
from tightbound.evidence.batches import (
    errors,
    headline,
    mean,
    stderr_of_draws,
    stderr_of_mean,
)
from tightbound.evidence.verdict import WORDS, Verdict
from tightbound.evidence.weighted import WeightedDraws

RESULTS = ("ok", "few effective draws", "not finite")
"""What the codes of `Estimate.result` mean."""
FEW = 2.0
"""Below so many effective draws a single one decides the estimate."""
KINDS = {
    "exact": "exact",
    "lower": "stochastic lower bound",
    "upper": "stochastic upper bound",
    "consistent": "consistent, no bound",
}
"""What an estimate is of log p(x), by its direction."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimate:
    """Log-evidence per datum in nats, larger is better; arrays of shape (n,) on the host.

    Data stand in the order in which they were given. Two estimates are equal only if they are the
    same object.
    """

    log_evidence: Float[np.ndarray, " n"]
    stderr: Float[np.ndarray, " n"]
    """Standard error of each estimate from its own draws, by the delta method."""
    ess: Float[np.ndarray, " n"]
    """Effective number of draws (or chains); 0 where nothing is drawn."""
    result: Int[np.ndarray, " n"]
    """0: as it should be; 1: fewer than two effective draws; 2: not finite. See `RESULTS`."""
    direction: str
    """"lower", "upper", "consistent" for no bound, or "exact": the mean against log p(x)."""
    method: str
    """The estimator with its settings, in words."""
    draws: int
    """Draws (or chains) per datum."""
    binarisation: str
    seconds: float
    diagnostics: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Numbers of the estimator's own, by name, each with a leading axis n."""
    rounding: Float[np.ndarray, " n"] | float = 0.0
    """How far single precision may have taken each estimate, in nats, beside `stderr`."""
    judgement: Verdict | None = None
    """The verdict on the set with its reason, where the estimator judges itself."""
    verdicts: tuple[str, ...] = ()
    """The verdict on each datum by itself."""
    weighted: WeightedDraws | None = None
    """The draws that the estimate was made of, with their weights, if they were kept (`keep=`)."""

    def __post_init__(self) -> None:
        """Refuses a direction that says nothing.

        Raises:
            UsageError: It is none of `KINDS`.
        """
        if self.direction not in KINDS:
            raise UsageError(
                f"expected direction to be one of {', '.join(KINDS)}, got {self.direction!r}"
            )

    @property
    def verdict(self) -> str:
        """The word on the set, such as "trust" (see `evidence.verdict`); empty if there is none."""
        return "" if self.judgement is None else self.judgement.word

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
        """Standard error of the mean from the finite number of data; NaN for one datum."""
        return stderr_of_mean(self.log_evidence)

    def summary(self) -> str:
        """The result in a few lines, with unit, direction, method, binarisation and verdict."""
        exact = self.direction == "exact"
        digits = 4 if exact else 2
        return "\n  ".join(
            [
                headline(
                    self.log_evidence, KINDS[self.direction], self.binarisation, digits=digits
                ),
                self.method,
                *(self._without_draws() if exact else self._of_draws()),
                *self._judged(),
            ]
        )

    def _of_draws(self) -> list[str]:
        """The errors of the mean, and how the draws went."""
        known = self.diagnostics
        elbo = f"; ELBO {float(np.mean(known['elbo'])):.2f}" if "elbo" in known else ""
        shape = ""
        if "khat" in known:
            khat = known["khat"][~np.isnan(known["khat"])]
            shape = f", median k-hat {np.median(khat):.2f}" if len(khat) else ", no k-hat"
        codes = ", ".join(
            f"{count} {RESULTS[code]}"
            for code, count in enumerate(np.bincount(self.result, minlength=len(RESULTS)))
            if count
        )
        return [
            errors(self.log_evidence, self.stderr, self.rounding) + elbo,
            f"median ESS {np.median(self.ess):.1f} of {self.draws}{shape}; {codes}",
        ]

    def _without_draws(self) -> list[str]:
        """What may be wrong with a number that is not drawn."""
        of_data = f"standard error {self.stderr_data:.4f} from the data, none from draws"
        of_data = "nothing is drawn" if len(self.log_evidence) == 1 else of_data
        error = self.diagnostics.get("error")
        return [of_data if error is None else f"{of_data}; largest error shown {np.max(error):.1e}"]

    def _judged(self) -> list[str]:
        """The verdicts, where there are any."""
        if self.judgement is None:
            return []
        counted = ", ".join(
            f"{self.verdicts.count(word)} {word}" for word in WORDS if word in self.verdicts
        )
        return [
            f"verdict: {self.verdict} ({self.judgement.reason})",
            f"of the data by themselves: {counted}",
        ]


def of_log_weights(
    log_w: Float[Array, "n k"],
) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, " n"]]:
    """Log of the mean weight, its standard error and the ESS of each datum."""
    k = log_w.shape[1]
    total = jax.nn.logsumexp(log_w, axis=1)
    log_z = total - jnp.log(k)
    ess = jnp.minimum(jnp.exp(2 * total - jax.nn.logsumexp(2 * log_w, axis=1)), k)
    relative_variance = jnp.maximum(k / ess - 1, 0) / (k - 1 if k > 1 else jnp.nan)
    return log_z, jnp.sqrt(relative_variance), ess


def undefined(log_w: Float[Array, "n k"]) -> Int[Array, " n"]:
    """How many log-weights of each datum are NaN or +inf."""
    return jnp.sum(jnp.isnan(log_w) | (log_w == jnp.inf), axis=1)


def result_codes(
    log_z: Float[np.ndarray, " n"], ess: Float[np.ndarray, " n"], k: int
) -> Int[np.ndarray, " n"]:
    """The code of each datum's result, from its estimate and its effective number of k draws."""
    few = np.where(ess < min(FEW, k), 1, 0)
    return np.where(np.isfinite(log_z), few, 2).astype(np.int32)
