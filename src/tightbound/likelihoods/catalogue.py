"""Families of the reparameterisation catalogue as laws of columns.

Kingma & Welling 2013, arXiv 1312.6114, section 2.4, in units of the training column: real values
are shifted and scaled, positive ones scaled, so that the standard member's centre and spread are
the column's. Ends that move with parameters would put data outside of the support: they are fixed
around the training column.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.supports import POSITIVE, REAL, Support, interval
from tightbound.distributions.families import Family, by_name
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values, like
from tightbound.networks import Fixed

MARGIN = 1e-3
"""Between the training column and fixed ends, as a share of its range."""
ENDS = {
    "uniform": ("low", "width"),
    "triangular": ("low", "width"),
    "pareto": ("scale",),
    "reciprocal": ("low", "log_width"),
}
"""Parameters that move the support, and are fixed."""


class FamilyColumns(AbstractUnivariate):
    """shift + scale * y, with y of a family: free numbers as in `Parameter.value`."""

    family: str = eqx.field(static=True)
    shift: Fixed
    scale: Fixed
    fixed: tuple[Fixed, ...] = ()
    """Those of the parameters in `ENDS`, of y."""
    ends: tuple[tuple[float, float], ...] | None = eqx.field(static=True, default=None)
    """Between which the values of each column lie, where the support would move."""

    @property
    def size(self) -> int:
        """One for each parameter that is not fixed."""
        return len(by_name(self.family).parameters) - len(self.fixed)

    @property
    def supports(self) -> tuple[Support, ...]:
        """The family's, or what lies between the fixed ends."""
        if self.ends is not None:
            return tuple(interval(*ends) for ends in self.ends)
        one = POSITIVE if by_name(self.family).support == "positive" else REAL
        return (one,) * self.shift.bits.shape[0]

    @property
    def sees(self) -> str:
        """The logarithm of positive numbers; arcsinh where tails are heavy."""
        if self.family == "cauchy":
            return "arcsinh"
        return "log" if by_name(self.family).support == "positive" else "real"

    @property
    def centre_is(self) -> str:
        """As for the family."""
        return by_name(self.family).centre_is

    @property
    def inside(self) -> Values:
        """A value of the training column's middle."""
        if self.ends is None:
            return self.shift.values + self.scale.values
        return jnp.array(
            [2 * low if np.isinf(high) else 0.5 * (low + high) for low, high in self.ends],
            jnp.float32,
        )

    @property
    def log_unit(self) -> Values:
        """Log of the scale."""
        return jnp.log(self.scale.values)

    def parameters(self, free: Free) -> tuple[Values, ...]:
        """Those of y, in the family's order."""
        given = dict(zip(ENDS.get(self.family, ()), self.fixed, strict=True))
        numbers = iter(free.T)
        return tuple(
            like(given[p.name], free) if p.name in given else jnp.asarray(p.value(next(numbers)))
            for p in by_name(self.family).parameters
        )

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-density in nats."""
        scale = like(self.scale, free)
        y = (values - like(self.shift, free)) / scale
        return by_name(self.family).log_density(y, *self.parameters(free)) - jnp.log(scale)

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw."""
        y = by_name(self.family).draw(key, *self.parameters(free))
        return like(self.shift, free) + like(self.scale, free) * y

    def mean(self, free: Free) -> Values:
        """The family's centre."""
        y = by_name(self.family).centre(*self.parameters(free))
        return like(self.shift, free) + like(self.scale, free) * y


def _of(name: str) -> Callable[[Part], FamilyColumns]:
    def make(part: Part) -> FamilyColumns:
        family = by_name(name)
        if name in ENDS:
            return _between_ends(family, part)
        part.check(POSITIVE if family.support == "positive" else REAL)
        mean, deviation = part.moments()
        if family.centre_is == "median":
            middle, spread = part.robust()
        else:
            middle, spread = mean, deviation
        standard = _standard_centre(family)
        if family.support == "positive":
            if family.centre_is == "geometric mean":
                middle = np.exp(np.nanmean(np.log(part.values), axis=0))
            return FamilyColumns(name, Fixed.of(np.zeros_like(mean)), Fixed.of(middle / standard))
        return FamilyColumns(name, Fixed.of(middle - spread * standard), Fixed.of(spread))

    return make


def _standard_centre(family: Family) -> float:
    """That of the standard member."""
    free = tuple(jnp.zeros(1) for _ in family.parameters)
    return float(family.centre(*family.values(free))[0])


def _between_ends(family: Family, part: Part) -> FamilyColumns:
    """Ends a little outside of the training column's."""
    part.check(POSITIVE if family.support == "positive" else REAL)
    part.moments()
    low, high = np.nanmin(part.values, axis=0), np.nanmax(part.values, axis=0)
    if family.support == "positive":
        grow = np.exp(MARGIN * (np.log(high) - np.log(low)))
        low, high = low / grow, high * grow
        fixed: list[Float[np.ndarray, " m"]] = [np.ones_like(low)]
        if family.name == "reciprocal":
            fixed.append(np.log(high) - np.log(low))
        last = np.full_like(high, np.inf) if family.name == "pareto" else high
        shift, scale = np.zeros_like(low), low
    else:
        margin = MARGIN * (high - low)
        shift, scale = low - margin, high - low + 2 * margin
        fixed, last = [np.zeros_like(low), np.ones_like(low)], high + margin
        low = shift
    ends = tuple((float(a), float(b)) for a, b in zip(low, last, strict=True))
    held = tuple(map(Fixed.of, fixed))
    return FamilyColumns(family.name, Fixed.of(shift), Fixed.of(scale), held, ends)


LIKELIHOODS = {
    "cauchy": Likelihood("real values without a mean", univariate=_of("cauchy")),
    "chi_squared": Likelihood("positive values", univariate=_of("chi_squared")),
    "erlang": Likelihood("positive values; a gamma law of shape 2", univariate=_of("erlang")),
    "exponential": Likelihood("positive values", univariate=_of("exponential")),
    "f": Likelihood("positive values with heavy tails", univariate=_of("f")),
    "gompertz": Likelihood("positive values, as ages at death", univariate=_of("gompertz")),
    "gumbel": Likelihood("real values, as largest of many", univariate=_of("gumbel")),
    "laplace": Likelihood("real values around a median", univariate=_of("laplace")),
    "logistic": Likelihood("real values", univariate=_of("logistic")),
    "pareto": Likelihood("values above the training data's least", univariate=_of("pareto")),
    "rayleigh": Likelihood("positive values, as lengths", univariate=_of("rayleigh")),
    "reciprocal": Likelihood(
        "values in the training data's range, even in their logarithm", univariate=_of("reciprocal")
    ),
    "triangular": Likelihood("values in the training data's range", univariate=_of("triangular")),
    "uniform": Likelihood(
        "values in the training data's range, all alike", univariate=_of("uniform")
    ),
    "weibull": Likelihood("positive values, as lifetimes", univariate=_of("weibull")),
}
"""Those of one unit that have no file of their own; "normal" is "gaussian"."""
