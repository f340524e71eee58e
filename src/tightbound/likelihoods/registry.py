"""Likelihoods by name: each file says in `LIKELIHOODS` which it has, and is found by that."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core import names
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.likelihoods.univariate import AbstractUnivariate
from tightbound.networks import Body


class Likelihood(NamedTuple):
    """How `tb.autoencoder(likelihood=NAME)` builds p(x|z): as a whole, or column by column."""

    description: str
    """Which values it is for, in a line."""
    build: Callable[[Body, Float[np.ndarray, "n d"], PRNGKeyArray], AbstractExplicit] | None = None
    """From a network's body, the training data and a key to the conditional. It builds trunk and
    heads by `body.build`, with named streams of the key, and may refuse the data or start from
    them. Without it all columns have the law `univariate`."""
    standardised: bool = False
    """Whether it is of real values in any unit, which the model standardises: `build` makes it for
    standardised ones, and looks at no value of the data."""
    univariate: Callable[..., AbstractUnivariate] | None = None
    """From a `Part`, the training data of some columns, and the options by name, to their laws;
    without it single columns of a table cannot be of this likelihood."""
    options: tuple[str, ...] = ()
    """What a call may name, as in "gaussian_fixed(scale=0.1)"."""


@cache
def likelihoods() -> dict[str, Likelihood]:
    """All likelihoods by name."""
    return {name: place.load().LIKELIHOODS[name] for name, place in names.likelihoods().items()}
