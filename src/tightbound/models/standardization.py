"""How networks see a model's data, for all that looks at them beside its likelihood."""

from typing import Any

from tightbound.distributions import BottomLayer
from tightbound.likelihoods import Columns, Masked, Standardized
from tightbound.models.bayesian import Bayesian
from tightbound.models.model import Model
from tightbound.models.shapes import width
from tightbound.networks import Features, Standardization


def columns(model: Model | Bayesian) -> Columns | None:
    """The model's likelihood where it is one of columns, below however many layers."""
    likelihood = _of_values(model)
    likelihood = likelihood.conditional if isinstance(likelihood, BottomLayer) else likelihood
    return likelihood if isinstance(likelihood, Columns) else None


def standardization(model: Model | Bayesian) -> Standardization | None:
    """How a model standardises its data; None where it does not."""
    likelihood = _of_values(model)
    return likelihood.standardization if isinstance(likelihood, Standardized) else None


def view(model: Model | Bayesian) -> Standardization | Features | None:
    """The map from data to what the model's networks see; None where that is the data."""
    of = columns(model)
    return standardization(model) if of is None else of.features


def seen_width(model: Model | Bayesian) -> int:
    """How many numbers networks see of one item."""
    found = view(model)
    return found.size if isinstance(found, Features) else width(model)


def inside(model: Model | Bayesian, x: Any) -> Any:
    """Data as the model's networks see them."""
    found = view(model)
    return x if found is None else found(x)


def _of_values(model: Model | Bayesian) -> Any:
    """The likelihood of the values, without that of which of them are observed."""
    likelihood = model.likelihood
    return likelihood.likelihood if isinstance(likelihood, Masked) else likelihood
