"""Bounds: from the log-weights of one datum to one number in nats."""

from typing import TYPE_CHECKING, Any

from tightbound.bounds.abstract import AbstractBound as AbstractBound
from tightbound.core.discovery import classes as _classes

if TYPE_CHECKING:  # what type checkers see of those that the last line finds
    from tightbound.bounds.ciwae import CIWAE as CIWAE
    from tightbound.bounds.elbo import ELBO as ELBO
    from tightbound.bounds.iwae import IWAE as IWAE
    from tightbound.bounds.jackknife import Jackknife as Jackknife
    from tightbound.bounds.miwae import MIWAE as MIWAE
    from tightbound.bounds.renyi import Renyi as Renyi

    def __getattr__(name: str) -> Any:
        """Bounds in files of your own."""


globals().update(_classes("bounds", AbstractBound))
