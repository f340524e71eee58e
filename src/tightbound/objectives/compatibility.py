"""Which objective suits which parts: what each needs of the slots against what they offer.

Huszar 2017, arXiv 1702.08235 (which of prior, likelihood and posterior may be implicit).
"""

from typing import Any

from tightbound.core.errors import UsageError
from tightbound.models import Bayesian, sharing
from tightbound.objectives.contract import AbstractObjective, Params, Requires

SLOTS = {"prior": "p(z)", "likelihood": "p(x|z)", "posterior": "q(z|x)"}
WORDS = {
    "samples": "draws",
    "density": "the density",
    "score": "the score (the gradient of the log-density)",
    "mixture": "the explicit layer (a semi-implicit mixture)",
    "components": "the components (a finite mixture)",
    "steps": "the law of each step (a model of sequences)",
}


def check_requires(objective: AbstractObjective, params: Params) -> None:
    """Refuses parts that do not offer what an objective needs.

    Raises:
        UsageError: What is missing of which slot, and which objectives would work instead.
    """
    lacking = missing(objective.requires, params)
    if lacking:
        fitting = suitable(params)
        instead = (
            f"what works with these parts: {', '.join(fitting)}"
            if fitting
            else ("no objective works with these parts")
        )
        raise UsageError(f"{objective.description} needs {'; and '.join(lacking)}; {instead}")


def check_shared(objective: AbstractObjective, params: Params) -> None:
    """Refuses parts that share parameters where they have no one gradient.

    Raises:
        UsageError: The posterior is not the one that the prior is made of, or the objective's parts
            climb different numbers.
    """
    sharing.check_shared(params.model, params.posterior)
    if sharing.shares(params.model) and not objective.one_bound:
        raise UsageError(
            f"the prior is made of the posterior, and {objective.description} has no one bound "
            "that both climb: expected an objective such as elbo, iwae or annealed"
        )


def missing(requires: Requires, params: Params) -> list[str]:
    """What the parts lack, in words."""
    lacking = []
    for slot, symbol in SLOTS.items():
        owner = params if slot == "posterior" else params.model
        part: Any = getattr(owner, slot)
        offers = frozenset() if part is None else part.offers
        words = [WORDS[word] for word in getattr(requires, slot) if word not in offers]
        if words:
            has = ", ".join(sorted(offers)) or "nothing"
            lacking.append(
                f"{' and '.join(words)} of the {slot} {symbol}, and {type(part).__name__} "
                f"offers {has}"
            )
    return lacking


def suitable(params: Params) -> list[str]:
    """Names of the objectives whose needs the parts meet, and that accept them."""
    from tightbound.objectives.registry import all_objectives

    if isinstance(params.model, Bayesian):
        return ["full_vb"]
    names = []
    for name, entry in all_objectives().items():
        requires = entry.about.requires
        if requires is None or missing(requires, params):
            continue
        try:
            entry.example().check(params)
        except UsageError:
            continue
        names.append(name)
    return names
