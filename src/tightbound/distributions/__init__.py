"""Conditionals: prior p(z), likelihood p(x|z) and posterior q(z|x) are one kind of thing."""

from typing import TYPE_CHECKING, Any

from tightbound.core.discovery import classes as _classes
from tightbound.distributions.affine_image import AffineImage as AffineImage
from tightbound.distributions.affine_image import AffinePush as AffinePush
from tightbound.distributions.bernoulli import Bernoulli as Bernoulli
from tightbound.distributions.conditional import Conditional as Conditional
from tightbound.distributions.conditional import FamilyPrior as FamilyPrior
from tightbound.distributions.contracts import AbstractConditional as AbstractConditional
from tightbound.distributions.contracts import AbstractExplicit as AbstractExplicit
from tightbound.distributions.contracts import AbstractImplicit as AbstractImplicit
from tightbound.distributions.contracts import AbstractSemiImplicit as AbstractSemiImplicit
from tightbound.distributions.contracts import AbstractStrata as AbstractStrata
from tightbound.distributions.coupling_flow import CouplingFlow as CouplingFlow
from tightbound.distributions.families import FAMILIES as FAMILIES
from tightbound.distributions.families import Family as Family
from tightbound.distributions.families import by_name as by_name
from tightbound.distributions.finite import AbstractFinite as AbstractFinite
from tightbound.distributions.finite import BernoulliComponents as BernoulliComponents
from tightbound.distributions.finite import BernoulliPrior as BernoulliPrior
from tightbound.distributions.finite import Categorical as Categorical
from tightbound.distributions.finite import GaussianComponents as GaussianComponents
from tightbound.distributions.finite import select as select
from tightbound.distributions.full_normal import FullMixture as FullMixture
from tightbound.distributions.full_normal import FullNormal as FullNormal
from tightbound.distributions.functions import FromFunctions as FromFunctions
from tightbound.distributions.functions import NoPrior as NoPrior
from tightbound.distributions.functions import from_functions as from_functions
from tightbound.distributions.gated_normal import GatedNormal as GatedNormal
from tightbound.distributions.implicit import FromSimulator as FromSimulator
from tightbound.distributions.implicit import Implicit as Implicit
from tightbound.distributions.implicit import SemiImplicit as SemiImplicit
from tightbound.distributions.layered import BottomLayer as BottomLayer
from tightbound.distributions.layered import Layered as Layered
from tightbound.distributions.linear_normal import LinearNormal as LinearNormal
from tightbound.distributions.markov import Markov as Markov
from tightbound.distributions.memory import Memory as Memory
from tightbound.distributions.mixture_prior import MixturePrior as MixturePrior
from tightbound.distributions.normal import DiagonalNormal as DiagonalNormal
from tightbound.distributions.normal import StandardNormal as StandardNormal
from tightbound.distributions.on_features import OnFeatures as OnFeatures
from tightbound.distributions.over_labels import LabelledPosterior as LabelledPosterior
from tightbound.distributions.over_labels import OfLabel as OfLabel
from tightbound.distributions.over_labels import OverLabels as OverLabels
from tightbound.distributions.recurrent_posterior import (
    RecurrentPosterior as RecurrentPosterior,
)
from tightbound.distributions.recurrent_prior import RecurrentPrior as RecurrentPrior
from tightbound.distributions.restoration import Degradation as Degradation
from tightbound.distributions.restoration import Empirical as Empirical
from tightbound.distributions.restoration import Projected as Projected
from tightbound.distributions.spline_flow import SplineFlow as SplineFlow
from tightbound.distributions.steps import AbstractSteps as AbstractSteps
from tightbound.distributions.structured import Structured as Structured
from tightbound.distributions.student_mixture import StudentMixture as StudentMixture
from tightbound.distributions.top_down import TopDown as TopDown
from tightbound.distributions.vamp_prior import VampPrior as VampPrior
from tightbound.distributions.with_noise import WithNoise as WithNoise

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Distributions in files of your own, which the last line finds."""


globals().update(_classes("distributions", AbstractConditional))
