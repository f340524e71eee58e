"""Evidence: estimates of log p(x) per datum, with error bars, and a verdict."""

from typing import TYPE_CHECKING, Any

from tightbound.evidence.active_units import active_units as active_units
from tightbound.evidence.adaptive import AdaptiveSampling as AdaptiveSampling
from tightbound.evidence.adaptive import adaptive as adaptive
from tightbound.evidence.amis import AMIS as AMIS
from tightbound.evidence.annealed import AIS as AIS
from tightbound.evidence.annealed import annealed as annealed
from tightbound.evidence.comparison import Comparison as Comparison
from tightbound.evidence.comparison import compare as compare
from tightbound.evidence.dm_pmc import DMPMC as DMPMC
from tightbound.evidence.draws import draws as draws
from tightbound.evidence.estimate import Estimate as Estimate
from tightbound.evidence.estimator import Estimator as Estimator
from tightbound.evidence.estimator import estimator as estimator
from tightbound.evidence.estimator import estimators as _estimators
from tightbound.evidence.evaluate import Evaluation as Evaluation
from tightbound.evidence.evaluate import evaluate as evaluate
from tightbound.evidence.exact import Exact as Exact
from tightbound.evidence.exact import ExactEvidence as ExactEvidence
from tightbound.evidence.exact import exact as exact
from tightbound.evidence.fab import FAB as FAB
from tightbound.evidence.hmc_density import HMCDensity as HMCDensity
from tightbound.evidence.hmc_density import hmc_density as hmc_density
from tightbound.evidence.importance import Evidence as Evidence
from tightbound.evidence.importance import importance as importance
from tightbound.evidence.inference_data import draws_to_arviz as draws_to_arviz
from tightbound.evidence.inference_data import to_arviz as to_arviz
from tightbound.evidence.inference_gap import InferenceGap as InferenceGap
from tightbound.evidence.inference_gap import inference_gap as inference_gap
from tightbound.evidence.jackknife import JackknifeSampling as JackknifeSampling
from tightbound.evidence.jackknife import jackknife as jackknife
from tightbound.evidence.pmc import PMC as PMC
from tightbound.evidence.prior_sampling import PriorSampling as PriorSampling
from tightbound.evidence.prior_sampling import prior_sampling as prior_sampling
from tightbound.evidence.proposals import defensive as defensive
from tightbound.evidence.proposals import tempered as tempered
from tightbound.evidence.reverse_annealed import Sandwich as Sandwich
from tightbound.evidence.reverse_annealed import reverse_annealed as reverse_annealed
from tightbound.evidence.reverse_annealed import sandwich as sandwich
from tightbound.evidence.semi_implicit import SemiImplicitSandwich as SemiImplicitSandwich
from tightbound.evidence.semi_implicit import semi_implicit_sandwich as semi_implicit_sandwich

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Estimators in files of your own, which the last line finds."""


globals().update(_estimators())
