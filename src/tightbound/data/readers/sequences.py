"""Sequences in JSON: a list of them, or an object with one for each part.

A sequence is a list of steps, and a step a list of as many numbers as all others have; null is a
missing value.
"""

import json
from typing import Any

import numpy as np
from jaxtyping import Float

from tightbound.core.errors import UsageError
from tightbound.data.sequences import padded
from tightbound.data.splits import PARTS

OTHER_WORDS = {"valid": "validation", "val": "validation"}


def parse_sequences(content: bytes, what: str) -> dict[str, Float[np.ndarray, "n steps d"]]:
    """The sequences under x, or under train, validation and test, all padded to the longest.

    Raises:
        UsageError: No JSON, another layout, or what `padded` refuses.
    """
    found = parse_json(content, what)
    if isinstance(found, dict):
        named = {OTHER_WORDS.get(name, name): part for name, part in found.items()}
        if set(named) != set(PARTS) or len(named) != len(found):
            got = ", ".join(map(str, found))[:80] or "nothing"
            raise UsageError(
                f"{what}: expected a list of sequences, or the keys {', '.join(PARTS)}, got {got}"
            )
        parts = {name: named[name] for name in PARTS}
    else:
        parts = {"x": found}
    for name, part in parts.items():
        nested = isinstance(part, list) and all(isinstance(one, list) for one in part)
        if not nested:
            raise UsageError(
                f"{what}: expected a list of sequences, each a list of steps, each a list of "
                f"numbers, got {type(part).__name__} under {name}"
            )
    longest = max((len(one) for part in parts.values() for one in part), default=0)
    named = len(parts) > 1
    return {
        name: padded(part, f"{what}[{name}]" if named else what, steps=longest)
        for name, part in parts.items()
    }


def parse_json(content: bytes, what: str) -> Any:
    """What a file of JSON holds.

    Raises:
        UsageError: It is none.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise UsageError(f"{what}: expected JSON, and it is damaged: {reason}") from None
