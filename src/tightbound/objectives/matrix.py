"""Which objectives, gradients and posteriors go together: found by asking each objective."""

from typing import Any

import numpy as np

from tightbound.errors import UsageError
from tightbound.gradients.names import GRADIENTS
from tightbound.models import autoencoder
from tightbound.objectives.abstract import AbstractObjective, Parts
from tightbound.objectives.catalogue import all_objectives, build

EXAMPLES: dict[str, dict[str, Any]] = {
    "elbo": {"samples": 4},
    "iwae": {"k": 4},
    "miwae": {"m": 2, "k": 4},
    "piwae": {"m": 2, "k": 4},
    "ciwae": {"k": 4, "beta": 0.5},
    "vr": {"k": 4, "alpha": 0.5},
    "jvi": {"k": 4},
    "combined": {"k": 4},
    "rws": {"k": 4},
    "annealed": {"epochs": 4},
    "sivi": {"k": 4},
    "dsivi": {"k": 4, "prior_k": 4},
    "iwhvi": {"k": 4},
}
"""Arguments for those that need some."""
POSTERIORS = {
    "normal": {},
    "two layers": {"layers": 2},
    "gamma": {"posterior": "gamma"},
    "uniform": {"posterior": "uniform"},
    "bernoulli": {"posterior": "bernoulli"},
}
"""One of each kind: a location-scale family, several layers, implicit gradients, a support that
moves with the parameters, discrete latents."""
COMPOSED = ("schedule", "map_estimate", "full_vb")
"""Made of other objectives, and valid where those are."""
REDUCED = ("reparameterized@2", "doubly_reparameterized@2")


def validity() -> list[tuple[str, str, list[bool]]]:
    """Rows of objective, gradient ("" where there is no choice) and, per posterior, validity."""
    data = np.eye(4, dtype=np.float32)
    parts = {
        name: Parts(*autoencoder(data, latent=2, hidden=(2,), **options))
        for name, options in POSTERIORS.items()
    }
    rows = []
    for name, entry in all_objectives().items():
        # The first has no posterior, and all posteriors here have densities.
        if name in ("exact", *COMPOSED) or not _wants_density(name):
            continue
        choices = [*GRADIENTS, *REDUCED] if "gradient" in entry.options else [""]
        for gradient in choices:
            options = EXAMPLES.get(name, {}) | ({"gradient": gradient} if gradient else {})
            rows.append((name, gradient, [_valid(name, options, parts[p]) for p in POSTERIORS]))
    return rows


def example() -> dict[str, AbstractObjective]:
    """One objective of each name."""
    names = [name for name in all_objectives() if name not in COMPOSED]
    return {name: build(name, **EXAMPLES.get(name, {})) for name in names}


def needs() -> str:
    """What each objective needs of prior, likelihood and posterior, in Markdown."""
    lines = ["| objective | prior | likelihood | posterior | learns the model |"]
    lines.append("|---|---|---|---|---|")
    for name, objective in example().items():
        *slots, learns = objective.requires
        cells = " | ".join(", ".join(words) or "–" for words in slots)
        lines.append(f"| `{name}` | {cells} | {'yes' if learns else 'no'} |")
    return "\n".join(lines)


def _wants_density(name: str) -> bool:
    """A posterior with a density is what the objective is for, or it needs none."""
    needs = build(name, **EXAMPLES.get(name, {})).requires.posterior
    return "density" in needs or not needs


def _valid(name: str, options: dict[str, Any], parts: Parts) -> bool:
    try:
        build(name, **options).check(parts)
    except UsageError:
        return False
    return True


def table() -> str:
    """The matrix in Markdown."""
    lines = [f"| objective | gradient | {' | '.join(POSTERIORS)} |"]
    lines.append(f"|---|---|{'---|' * len(POSTERIORS)}")
    for name, gradient, valid in validity():
        cells = " | ".join("yes" if ok else "–" for ok in valid)
        shown = f"`{gradient}`" if gradient else "its own"
        lines.append(f"| `{name}` | {shown} | {cells} |")
    return "\n".join(lines)
