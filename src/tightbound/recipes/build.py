"""From settings and data to all that a fit needs, for whoever fits: one way, and no files."""

from typing import Any, NamedTuple

import optax

from tightbound.core import names
from tightbound.core.errors import UsageError
from tightbound.data import Dataset
from tightbound.models import Model, autoencoder, bayesian, labelled, missingness, sequence_model
from tightbound.objectives import AbstractObjective, full_vb, map_estimate
from tightbound.objectives.multisample.m2 import M2
from tightbound.objectives.registry import make
from tightbound.recipes.labels import classes_of
from tightbound.recipes.settings import Config
from tightbound.training.optimizers import by_name, default_rate, schedule_by_name
from tightbound.training.sizes import items_per_step


class Recipe(NamedTuple):
    """What `tb.fit` is called with: `tb.fit(recipe.model, recipe.posterior, source.train, ...)`."""

    model: Any
    posterior: Any
    objective: AbstractObjective
    optimizer: optax.GradientTransformation
    batch_size: int


def build(settings: Config, source: Dataset) -> Recipe:
    """Builds model, posterior, objective and optimiser as configured, for a data set.

    Args:
        settings: As `tightbound fit` takes them; checked by `Config.check`.
        source: The data: their size, first means and units, and the number of items.

    Raises:
        UsageError: Settings that do not go together, or do not suit the data.
    """
    objective = _objective(settings, len(source.train))
    if settings.of_sequences:
        model, posterior = sequence_model(source, **settings.sequence_sizes(), key=settings.key)
    elif isinstance(objective, M2):
        model, posterior = _labelled(settings, source)
    else:
        model, posterior = autoencoder(source, **settings.sizes(), key=settings.key)
    if settings.missingness is not None:
        model, posterior = _with_mask(model, posterior, settings, source)
    if settings.bayesian is not None:
        model = bayesian(model, scale=settings.bayesian)
    n = len(source.train)
    batch_size = items_per_step(settings.batch_size, n)
    steps = max(1, n // batch_size)
    highest = settings.learning_rate
    highest = default_rate(settings.optimizer) if highest is None else highest
    rate = schedule_by_name(
        settings.schedule, highest, steps_per_epoch=steps, epochs=settings.epochs
    )
    optimizer = by_name(settings.optimizer, rate, batch_size=batch_size)
    return Recipe(model, posterior, objective, optimizer, batch_size)


def _labelled(settings: Config, source: Dataset) -> tuple[Model, Any]:
    """A model with labels, as many as the data set has.

    Raises:
        UsageError: Several layers, or data without labels.
    """
    sizes = settings.sizes()
    if sizes.pop("layers") != 1:
        raise UsageError("objective m2 is of one stochastic layer: leave out layers")
    sizes.pop("inference")
    return labelled(source, classes_of(source), **sizes, key=settings.key)


def _with_mask(
    model: Model, posterior: Any, settings: Config, source: Dataset
) -> tuple[Model, Any]:
    """Both with a model of which values are missing; censored data are the training part."""
    kind, _, options = names.missingness_call(settings.missingness or "")
    options = dict(options)
    censored = source.train if options.pop("censored", False) else None
    return missingness(model, posterior, kind=kind, censored=censored, **options, key=settings.key)


def _objective(settings: Config, n: int) -> AbstractObjective:
    """The objective as configured, with what is said about the parameters of n data."""
    objective = make(settings.objective_call())
    if settings.weight_prior is not None:
        return map_estimate(objective, n=n, scale=settings.weight_prior)
    return objective if settings.bayesian is None else full_vb(objective, n=n)
