"""The reparameterisation catalogue: the families of section 2.4 of AEVB, by name."""

from tightbound.core.errors import UsageError
from tightbound.distributions.families import composition, inverse_cdf, location_scale
from tightbound.distributions.families.family import Family as Family
from tightbound.distributions.families.family import Parameter as Parameter

FAMILIES: dict[str, Family] = {
    family.name: family
    for group in (inverse_cdf, location_scale, composition)
    for family in group.FAMILIES
}


def by_name(name: str) -> Family:
    """The family of that name; "erlang:K" is the Erlang family of shape K, "erlang" that of 2.

    Raises:
        UsageError: The name is not known.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    kind, _, shape = name.partition(":")
    if kind == "erlang" and shape.isdecimal() and int(shape) > 0:
        return inverse_cdf.erlang(int(shape))
    raise UsageError(f"expected a family out of {', '.join(FAMILIES)}, or erlang:K, got {name!r}")
