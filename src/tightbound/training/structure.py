"""The structure of models as plain JSON: written beside the arrays, compared, and rebuilt."""

import dataclasses
from collections.abc import Set
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tightbound.distributions import (
    Bernoulli,
    BernoulliComponents,
    BernoulliPrior,
    BottomLayer,
    Categorical,
    Conditional,
    DiagonalNormal,
    FamilyPrior,
    GaussianComponents,
    Implicit,
    Layered,
    SemiImplicit,
    Standardized,
    StandardNormal,
)
from tightbound.errors import UsageError
from tightbound.models import Bayesian, Model
from tightbound.networks import (
    MLP,
    Dense,
    Fixed,
    Joined,
    Squashed,
    Standardization,
    Standardizing,
)
from tightbound.objectives import Parts

KNOWN = {
    cls.__name__: cls
    for cls in (
        Bayesian,
        Bernoulli,
        BernoulliComponents,
        BernoulliPrior,
        BottomLayer,
        Categorical,
        Conditional,
        Dense,
        DiagonalNormal,
        FamilyPrior,
        Fixed,
        GaussianComponents,
        Implicit,
        Joined,
        Layered,
        MLP,
        Model,
        SemiImplicit,
        Squashed,
        Standardization,
        Standardized,
        Standardizing,
        StandardNormal,
    )
}
"""The only classes that a file can ask for."""


def is_array(leaf: Any) -> bool:
    """Whether a leaf is saved as an array: also those of NumPy, in networks of the user's own."""
    return isinstance(leaf, jax.Array | np.ndarray)


def describe(node: Any) -> Any:
    """A tree of our own classes as JSON; arrays by shape and dtype."""
    if isinstance(node, Parts):
        return {"parts": [describe(part) for part in node]}
    if isinstance(node, tuple):
        return {"tuple": [describe(item) for item in node]}
    if is_array(node):
        return {"array": [list(node.shape), str(node.dtype)]}
    if node is None or isinstance(node, bool | int | float | str):
        return {"value": node}
    if KNOWN.get(type(node).__name__) is type(node):
        fields = dataclasses.fields(node)
        return {
            "class": type(node).__name__,
            "fields": {field.name: describe(getattr(node, field.name)) for field in fields},
        }
    return {"own": f"{type(node).__module__}.{type(node).__qualname__}"}


def rebuild(node: Any, what: str, shapes: Set[tuple[int, ...]]) -> Any:
    """The tree that `describe` saw, with zeros for its arrays.

    Args:
        node: What `describe` gave.
        what: Where it is from, for errors.
        shapes: Those of the arrays there are; nothing is allocated for any other.

    Raises:
        UsageError: A network of the user's own, or anything that `describe` does not write.
    """
    try:
        match node:
            case {"parts": [model, posterior]}:
                return Parts(rebuild(model, what, shapes), rebuild(posterior, what, shapes))
            case {"tuple": items}:
                return tuple(rebuild(item, what, shapes) for item in items)
            case {"array": [shape, _]} if tuple(shape) not in shapes:
                raise UsageError(f"{what} has a structure that does not fit: no array is {shape}")
            case {"array": [shape, dtype]}:
                return jnp.zeros(shape, jax.dtypes.canonicalize_dtype(dtype))
            case {"value": value}:
                return value
            case {"class": name, "fields": fields} if name in KNOWN:
                return KNOWN[name](
                    **{key: rebuild(value, what, shapes) for key, value in fields.items()}
                )
            case {"own": name}:
                raise UsageError(
                    f"{what} holds a network of your own ({name}): pass like=(model, posterior)"
                )
    except UsageError:
        raise
    except RecursionError:
        raise UsageError(f"{what} has a structure that is nested too deeply") from None
    except (AttributeError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(f"{what} has a structure that does not fit: {error}") from error
    found = repr(node)[:200]
    raise UsageError(f"{what} has a structure that this version does not know: {found}")


def fixed(node: Any, name: str = "") -> dict[str, Any]:
    """What no array holds, such as classes and activations, by the name of its place."""
    match node:
        case {"value": value}:
            return {name: value}
        case {"own": _}:
            return {name: "a network of your own"}
        case {"class": kind, "fields": dict(fields)}:
            inner = {f"{name}.{key}": value for key, value in fields.items()}
            own = {name: kind}
        case {"parts": [model, posterior]}:
            inner, own = {"model": model, "posterior": posterior}, {}
        case {"tuple": list(items)}:
            inner, own = {f"{name}[{i}]": item for i, item in enumerate(items)}, {}
        case _:
            return {}
    for key, value in inner.items():
        own |= fixed(value, key)
    return own


def differences(saved: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """All entries in which two flat records differ, in words."""
    absent = "absent"
    return [
        f"{name} was {saved.get(name, absent)}, is {now.get(name, absent)}"
        for name in [*now, *(name for name in saved if name not in now)]
        if saved.get(name, absent) != now.get(name, absent)
    ]
