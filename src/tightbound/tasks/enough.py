"""Whether the draws of z behind an answer are enough, and what summaries say of it."""

import numpy as np
from jaxtyping import Bool, Float

HEAVY = 0.7
"""K-hat beyond which draws of z are too few, whatever their number."""
FEWEST = 20.0
"""Effective draws of z below which they are too few."""


def too_few(khat: Float[np.ndarray, " n"], ess: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Of which data draws of z are too few."""
    return (khat > HEAVY) | (ess < FEWEST)


def and_adapted(adapted: Bool[np.ndarray, " n"], data: str) -> str:
    """What a summary adds of proposals that were adapted; nothing where none was.

    `data` names them in the plural, here and below.
    """
    if not adapted.any():
        return ""
    return f"; for {int(adapted.sum()):,} {data} the proposal of z was adapted"


def and_too_few(unsure: Bool[np.ndarray, " n"], k: int, data: str) -> str:
    """What a summary adds where k draws of z are too few for some data; nothing if for none."""
    if not unsure.any():
        return ""
    return (
        f"; of {int(unsure.sum()):,} {data} {k:,} draws of z are too few (k-hat beyond {HEAVY} or "
        f"fewer than {FEWEST:g} effective draws): use a larger k"
    )
