"""Fits deep latent-variable models and says honestly how good the fit is.

Every number is the quantity it claims to be: per datum, in nats, with an error bar, a direction
and a verdict. Modules load when they are first used.
"""

import importlib

TYPE_CHECKING = False  # that of `typing`, which takes a tenth of the time of `--help` to load
if TYPE_CHECKING:
    from typing import Any

    from tightbound import data as data
    from tightbound import diagnostics as diagnostics
    from tightbound import distributions as distributions
    from tightbound import evidence as evidence
    from tightbound import gradients as gradients
    from tightbound import likelihoods as likelihoods
    from tightbound import models as models
    from tightbound import networks as networks
    from tightbound import objectives as objectives
    from tightbound import sklearn as sklearn
    from tightbound import tasks as tasks
    from tightbound.core.errors import NonFiniteError as NonFiniteError
    from tightbound.core.errors import UsageError as UsageError
    from tightbound.distributions import AbstractExplicit as AbstractExplicit
    from tightbound.evidence import Evaluation as Evaluation
    from tightbound.evidence import draws as draws
    from tightbound.evidence import evaluate as evaluate
    from tightbound.evidence import sandwich as sandwich
    from tightbound.models import Model as Model
    from tightbound.models import Target as Target
    from tightbound.models import autoencoder as autoencoder
    from tightbound.models import from_numpyro as from_numpyro
    from tightbound.models import posterior as posterior
    from tightbound.models import sequence_model as sequence_model
    from tightbound.models import source as source
    from tightbound.recipes.tables import fit_table as fit_table
    from tightbound.runs import open_run as open_run
    from tightbound.tasks import impute as impute
    from tightbound.tasks import score as score
    from tightbound.training import Run as Run
    from tightbound.training import em as em
    from tightbound.training import fit as fit
    from tightbound.training import load as load
    from tightbound.training import optimizers as optimizers
    from tightbound.training import save as save

_MODULES = (
    "data",
    "diagnostics",
    "distributions",
    "evidence",
    "gradients",
    "likelihoods",
    "models",
    "networks",
    "objectives",
    "sklearn",
    "tasks",
)
_NAMES = {
    "AbstractExplicit": "distributions",
    "Evaluation": "evidence",
    "Model": "models",
    "NonFiniteError": "core.errors",
    "Run": "training",
    "Target": "models",
    "UsageError": "core.errors",
    "autoencoder": "models",
    "draws": "evidence",
    "em": "training",
    "evaluate": "evidence",
    "fit": "training",
    "fit_table": "recipes.tables",
    "from_numpyro": "models",
    "impute": "tasks",
    "load": "training",
    "open_run": "runs",
    "optimizers": "training",
    "posterior": "models",
    "sandwich": "evidence",
    "save": "training",
    "score": "tasks",
    "sequence_model": "models",
    "source": "models",
}


def __getattr__(name: str) -> "Any":
    """Imports on first use, so that `tightbound --help` need not load JAX."""
    if name == "__version__":
        from importlib.metadata import version

        return version("tightbound")
    if name in _MODULES:
        return importlib.import_module(f"tightbound.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"tightbound.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'tightbound' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*_MODULES, *_NAMES, "__version__"])
