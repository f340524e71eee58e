"""Evidence: estimates of log p(x) per datum, with error bars, and a verdict."""

import importlib
from typing import Any

from tightbound.evidence.adaptive.adaptive import AdaptiveSampling as AdaptiveSampling
from tightbound.evidence.adaptive.adaptive import adaptive as adaptive
from tightbound.evidence.adaptive.amis import AMIS as AMIS
from tightbound.evidence.adaptive.dm_pmc import DMPMC as DMPMC
from tightbound.evidence.adaptive.fab import FAB as FAB
from tightbound.evidence.adaptive.pmc import PMC as PMC
from tightbound.evidence.annealing.ais import AIS as AIS
from tightbound.evidence.annealing.ais import AnnealedEvidence as AnnealedEvidence
from tightbound.evidence.annealing.ais import annealed as annealed
from tightbound.evidence.annealing.hmc_density import HMCDensity as HMCDensity
from tightbound.evidence.annealing.hmc_density import hmc_density as hmc_density
from tightbound.evidence.annealing.reverse_annealed import reverse_annealed as reverse_annealed
from tightbound.evidence.annealing.sandwich import Sandwich as Sandwich
from tightbound.evidence.annealing.sandwich import sandwich as sandwich
from tightbound.evidence.arviz import draws_to_arviz as draws_to_arviz
from tightbound.evidence.arviz import to_arviz as to_arviz
from tightbound.evidence.compare import Comparison as Comparison
from tightbound.evidence.compare import compare as compare
from tightbound.evidence.draws import draws as draws
from tightbound.evidence.estimate import Estimate as Estimate
from tightbound.evidence.estimator import Estimator as Estimator
from tightbound.evidence.estimator import estimator as estimator
from tightbound.evidence.estimator import estimators as _estimators
from tightbound.evidence.evaluate import evaluate as evaluate
from tightbound.evidence.exact.kalman import Kalman as Kalman
from tightbound.evidence.exact.kalman import kalman as kalman
from tightbound.evidence.exact.log_evidence import Exact as Exact
from tightbound.evidence.exact.log_evidence import ExactEvidence as ExactEvidence
from tightbound.evidence.exact.log_evidence import exact as exact
from tightbound.evidence.execution import Execution as Execution
from tightbound.evidence.execution import ExecutionSettings as ExecutionSettings
from tightbound.evidence.importance.evaluation import Evaluation as Evaluation
from tightbound.evidence.importance.importance import Evidence as Evidence
from tightbound.evidence.importance.importance import importance as importance
from tightbound.evidence.importance.jackknife import JackknifeSampling as JackknifeSampling
from tightbound.evidence.importance.jackknife import jackknife as jackknife
from tightbound.evidence.importance.particle_filter import ParticleFilter as ParticleFilter
from tightbound.evidence.importance.particle_filter import particle_filter as particle_filter
from tightbound.evidence.importance.prior_sampling import PriorSampling as PriorSampling
from tightbound.evidence.importance.prior_sampling import prior_sampling as prior_sampling
from tightbound.evidence.importance.proposals import defensive as defensive
from tightbound.evidence.importance.proposals import tempered as tempered
from tightbound.evidence.ladder.climbed import LadderEvidence as LadderEvidence
from tightbound.evidence.ladder.two_phase import Corrected as Corrected
from tightbound.evidence.modes import Fractions as Fractions
from tightbound.evidence.semi_implicit import SemiImplicitSandwich as SemiImplicitSandwich
from tightbound.evidence.semi_implicit import semi_implicit_sandwich as semi_implicit_sandwich
from tightbound.evidence.weighted import Measured as Measured
from tightbound.evidence.weighted import WeightedDraws as WeightedDraws

_DIAGNOSTICS = ("InferenceGap", "active_units", "inference_gap")


def __getattr__(name: str) -> Any:
    """Diagnostics, which stand on evidence and load late; and estimators in files of your own."""
    if name in _DIAGNOSTICS:
        return getattr(importlib.import_module("tightbound.diagnostics"), name)
    raise AttributeError(f"module 'tightbound.evidence' has no attribute {name!r}")


globals().update(_estimators())
