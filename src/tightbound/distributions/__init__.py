"""Conditionals: prior p(z), likelihood p(x|z) and posterior q(z|x) are one kind of thing."""

from typing import TYPE_CHECKING, Any

from tightbound.discovery import classes as _classes
from tightbound.distributions.abstract import AbstractConditional as AbstractConditional
from tightbound.distributions.abstract import AbstractExplicit as AbstractExplicit
from tightbound.distributions.abstract import AbstractImplicit as AbstractImplicit
from tightbound.distributions.abstract import AbstractSemiImplicit as AbstractSemiImplicit
from tightbound.distributions.bernoulli import Bernoulli as Bernoulli
from tightbound.distributions.catalogue import FAMILIES as FAMILIES
from tightbound.distributions.catalogue import Family as Family
from tightbound.distributions.catalogue import by_name as by_name
from tightbound.distributions.conditional import Conditional as Conditional
from tightbound.distributions.conditional import FamilyPrior as FamilyPrior
from tightbound.distributions.coupling_flow import CouplingFlow as CouplingFlow
from tightbound.distributions.finite import AbstractFinite as AbstractFinite
from tightbound.distributions.finite import BernoulliComponents as BernoulliComponents
from tightbound.distributions.finite import BernoulliPrior as BernoulliPrior
from tightbound.distributions.finite import Categorical as Categorical
from tightbound.distributions.finite import GaussianComponents as GaussianComponents
from tightbound.distributions.functions import FromFunctions as FromFunctions
from tightbound.distributions.functions import NoPrior as NoPrior
from tightbound.distributions.functions import from_functions as from_functions
from tightbound.distributions.implicit import FromSimulator as FromSimulator
from tightbound.distributions.implicit import Implicit as Implicit
from tightbound.distributions.implicit import SemiImplicit as SemiImplicit
from tightbound.distributions.layered import BottomLayer as BottomLayer
from tightbound.distributions.layered import Layered as Layered
from tightbound.distributions.likelihood import Likelihood as Likelihood
from tightbound.distributions.likelihood import likelihoods as likelihoods
from tightbound.distributions.normal import DiagonalNormal as DiagonalNormal
from tightbound.distributions.normal import StandardNormal as StandardNormal
from tightbound.distributions.restoration import Degradation as Degradation
from tightbound.distributions.restoration import Empirical as Empirical
from tightbound.distributions.restoration import Projected as Projected
from tightbound.distributions.standardized import Standardized as Standardized

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Distributions in files of your own, which the last line finds."""


globals().update(_classes("distributions", AbstractConditional))
