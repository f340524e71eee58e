"""What tasks on images give back: clean or whole ones by weighted draws of z, and how sure that is.

Bias: that of `predictive`, and what the model has wrong.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from tightbound.evidence.batches import stderr_of_draws
from tightbound.tasks.enough import and_adapted, and_too_few, too_few


@dataclass(frozen=True, kw_only=True, eq=False)
class Restored:
    """n images as they may have been, given what was seen of each."""

    x: Float[np.ndarray, "n *image"]
    """What is expected of each value (of binary ones the probability of a one), over all draws of
    z; known ones as they were."""
    stderr: Float[np.ndarray, "n *image"]
    """Standard error of `x` from the draws of z; where `ess` is near 1 it is too small."""
    draws: Float[np.ndarray, "m n *image"]
    """m whole images for each, of equal weight."""
    seen: Float[np.ndarray, "n *seen"]
    """What was given, as the model saw it: NaN where values are missing or hidden."""
    hidden: Bool[np.ndarray, "n *image"]
    """Which values of `x` were not known."""
    log_evidence: Float[np.ndarray, " n"]
    """Log p of what was given, in nats."""
    log_evidence_stderr: Float[np.ndarray, " n"]
    ess: Float[np.ndarray, " n"]
    """Effective number of draws of z, of k; infinite where all z are enumerated."""
    khat: Float[np.ndarray, " n"]
    """Shape of the weights' tail: beyond 0.7 draws of z are too few, whatever their number."""
    k: int
    adapted: Bool[np.ndarray, " n"]
    """Images for which the proposal was adapted, with as many draws of z besides."""
    seconds: float
    log_score: Float[np.ndarray, " n"] | None = None
    """Log p(hidden | seen) in nats of the values that stood in the holes; NaN where none did. None
    of a task without holes."""
    log_score_stderr: Float[np.ndarray, " n"] | None = None

    @property
    def sd(self) -> Float[np.ndarray, "n *image"]:
        """How far each value may be from `x`: the draws' standard deviation."""
        return np.std(self.draws, axis=0, dtype=np.float64)

    @property
    def unsure(self) -> Bool[np.ndarray, " n"]:
        """Images of which draws of z are too few: k-hat beyond 0.7, or ESS below 20."""
        return self._open & too_few(self.khat, self.ess)

    def summary(self) -> str:
        """How much was restored, and of which images the draws are too few."""
        words = (
            f"{int(self.hidden.sum()):,} values restored, in {int(self._open.sum()):,} of "
            f"{len(self.x):,} images"
        )
        score, error = self.log_score, self.log_score_stderr
        if score is not None and error is not None and not np.isnan(score).all():
            told = ~np.isnan(score)
            words += (
                f"; log p(hidden | seen) = {np.mean(score[told]):.3f} nats per image, "
                f"standard error {stderr_of_draws(error[told]):.3f} from the draws"
            )
        words += and_adapted(self.adapted, "images")
        return words + and_too_few(self.unsure, self.k, "images")

    def in_shape(self, image: tuple[int, ...]) -> "Restored":
        """The same with images of another shape, and what was seen too if it is of their size."""
        n = len(self.x)
        moved: dict[str, Any] = {
            name: getattr(self, name).reshape(n, *image) for name in ("x", "stderr", "hidden")
        }
        moved["draws"] = self.draws.reshape(-1, n, *image)
        if self.seen.size == self.x.size:
            moved["seen"] = self.seen.reshape(n, *image)
        return replace(self, **moved)

    @property
    def _open(self) -> Bool[np.ndarray, " n"]:
        return np.any(self.hidden.reshape(len(self.x), -1), axis=1)
