"""Likelihoods p(x|z) by name, and the units they are in."""

from typing import TYPE_CHECKING, Any

from tightbound.core.discovery import classes as _classes
from tightbound.distributions import AbstractConditional as _AbstractConditional
from tightbound.likelihoods.registry import Likelihood as Likelihood
from tightbound.likelihoods.registry import likelihoods as likelihoods
from tightbound.likelihoods.standardized import Standardized as Standardized

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Likelihoods in files of your own, which the last line finds."""


globals().update(_classes("likelihoods", _AbstractConditional))
