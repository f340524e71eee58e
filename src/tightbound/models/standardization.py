"""How a model standardises its data, for all that looks at them beside its likelihood."""

from typing import Any

from tightbound.likelihoods import Standardized
from tightbound.models.bayesian import Bayesian
from tightbound.models.model import Model
from tightbound.networks import Standardization


def standardization(model: Model | Bayesian) -> Standardization | None:
    """The map from data to what the model's networks see; None where that is the data."""
    likelihood = model.likelihood
    return likelihood.standardization if isinstance(likelihood, Standardized) else None


def inside(model: Model | Bayesian, x: Any) -> Any:
    """Data as the model's networks see them."""
    found = standardization(model)
    return x if found is None else found(x)
