"""Which objectives, gradients and posteriors go together: found by asking each objective."""

from typing import Any

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.gradients.names import GRADIENTS
from tightbound.models import autoencoder
from tightbound.objectives.contract import Params
from tightbound.objectives.registry import all_objectives, build

POSTERIORS = {
    "normal": {},
    "two layers": {"layers": 2},
    "gamma": {"posterior": "gamma"},
    "uniform": {"posterior": "uniform"},
    "bernoulli": {"posterior": "bernoulli"},
}
"""One of each kind: a location-scale family, several layers, implicit gradients, a support that
moves with the parameters, discrete latents."""
REDUCED = ("reparameterized@2", "doubly_reparameterized@2")


def validity() -> list[tuple[str, str, list[bool]]]:
    """Rows of objective, gradient ("" where there is no choice) and, per posterior, validity."""
    data = np.eye(4, dtype=np.float32)
    params = {
        name: Params(*autoencoder(data, latent=2, hidden=(2,), **options))
        for name, options in POSTERIORS.items()
    }
    rows = []
    for name, entry in all_objectives().items():
        requires = entry.about.requires
        # All posteriors here have densities; one objective has no posterior.
        wants_density = requires and ("density" in requires.posterior or not requires.posterior)
        if name == "exact" or not wants_density:
            continue
        choices = [*GRADIENTS, *REDUCED] if "gradient" in entry.options else [""]
        for gradient in choices:
            options = {**entry.about.example, **({"gradient": gradient} if gradient else {})}
            rows.append((name, gradient, [_valid(name, options, params[p]) for p in POSTERIORS]))
    return rows


def needs() -> str:
    """What each objective needs of prior, likelihood and posterior, in Markdown."""
    lines = ["| objective | prior | likelihood | posterior | learns the model |"]
    lines.append("|---|---|---|---|---|")
    for name, entry in all_objectives().items():
        if entry.about.requires is None:
            continue
        *slots, learns = entry.about.requires
        cells = " | ".join(", ".join(words) or "–" for words in slots)
        lines.append(f"| `{name}` | {cells} | {'yes' if learns else 'no'} |")
    return "\n".join(lines)


def _valid(name: str, options: dict[str, Any], params: Params) -> bool:
    try:
        build(name, **options).check(params)
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
