"""What was tried on a table, and what became of it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from tightbound.core.aligned import aligned


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One model that was tried; numbers are nats per row, of rows that it was not fitted to."""

    name: str
    """That of its kind, with its size: "gaussian", "ppca(2)", "mixture(16)", "deep(small)"."""
    kind: str
    """"gaussian", "ppca", "mixture" or "deep"."""
    log_p: float
    """Mean log p(x_observed): exact of all but deep models, whose importance sampled estimate is
    low on average."""
    stderr: float
    """Of the mean, over rows."""
    rows: int
    difference: float
    """Less that of the best candidate, on the rows that both were judged on."""
    difference_stderr: float
    weight: float
    """Its share of the model that comes out; 0 for what is not in it."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The candidates, best first, and what was made of them."""

    candidates: tuple[Candidate, ...]
    chosen: str
    """The names of those that are in the model, with "and" between them."""
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """A table for people."""
        head = ("candidate", "log p", "", "less the best", "", "weight", "seconds")
        lines: list[tuple[str, ...]] = [head]
        for of in self.candidates:
            away = (f"{of.difference:.3f}", f"± {of.difference_stderr:.3f}")
            lines.append(
                (
                    of.name,
                    f"{of.log_p:.3f}",
                    f"± {of.stderr:.3f}",
                    *(away if of.difference_stderr else ("", "")),
                    f"{of.weight:.2f}" if of.weight else "",
                    f"{of.seconds:.1f}",
                )
            )
        return "\n".join(
            (
                "Held-out rows, nats per row (higher is better):",
                *aligned(lines),
                f"Chosen: {self.chosen}.",
                *self.notes,
            )
        )

    def to_entries(self) -> dict[str, Any]:
        """The choice as JSON holds it."""
        return {
            "candidates": [asdict(one) for one in self.candidates],
            "chosen": self.chosen,
            "notes": list(self.notes),
        }


class Judged(dict[str, Float[np.ndarray, " n"]]):
    """Log p of each row by each candidate; NaN of rows that it was fitted to, or not judged on."""

    def best(self) -> str:
        """The candidate of the highest mean on the rows that all were judged on."""
        common = np.all([np.isfinite(of) for of in self.values()], axis=0)
        return max(self, key=lambda name: float(np.mean(self[name][common])))

    def stacked(self, names: list[str], rounds: int = 200) -> dict[str, float]:
        """Shares by which the candidates together are best: the maximum of mean log sum w_c p_c.

        Smyth & Wolpert 1999, Machine Learning 36 (stacking of densities, by EM).
        """
        log_p = np.stack([self[name] for name in names])
        log_p = log_p[:, np.isfinite(log_p).all(axis=0)]
        shares = np.full(len(names), 1 / len(names))
        p = np.exp(log_p - log_p.max(axis=0))
        for _ in range(rounds):
            joint = shares[:, None] * p
            shares = np.mean(joint / joint.sum(axis=0), axis=1)
        return dict(zip(names, map(float, shares), strict=True))


def candidate(
    name: str, kind: str, judged: Judged, best: str, weight: float, seconds: float
) -> Candidate:
    """What is told of a candidate."""
    own = judged[name]
    known = np.isfinite(own)
    away = (own - judged[best])[known & np.isfinite(judged[best])]
    return Candidate(
        name=name,
        kind=kind,
        log_p=float(np.mean(own[known])),
        stderr=_stderr(own[known]),
        rows=int(known.sum()),
        difference=float(np.mean(away)),
        difference_stderr=_stderr(away),
        weight=weight,
        seconds=seconds,
    )


def _stderr(x: Float[np.ndarray, " n"]) -> float:
    return float(np.std(x, ddof=1) / np.sqrt(len(x))) if len(x) > 1 else float("inf")
