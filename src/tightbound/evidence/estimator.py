"""Estimators as values: what is estimated and how, apart from on what and with which key.

`tb.evaluate(model, posterior, x, by=AIS(temperatures=1000))` calls `tb.evidence.annealed` with
these settings. A new estimator is a function of its own and `NAME = estimator("NAME", function)`.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

from tightbound.core.discovery import defined
from tightbound.core.errors import unknown
from tightbound.data import DataLike
from tightbound.evidence.estimate import Estimate
from tightbound.evidence.execution import NAMES, ExecutionSettings
from tightbound.models.model import Model


class Estimator(NamedTuple):
    """An estimator of log p(x) with its settings."""

    name: str
    function: Callable[..., Estimate]
    slot: str | None
    """The argument that takes the posterior; None where none is asked for."""
    settings: dict[str, Any]

    def estimate(
        self,
        model: Model,
        posterior: Any,
        x: DataLike | None,
        **execution: Unpack[ExecutionSettings],
    ) -> Estimate:
        """What the estimator says of data x, per datum in nats.

        Raises:
            UsageError: As the function says, which refuses execution settings that it has no use
                for.
        """
        slot = {} if self.slot is None else {self.slot: posterior}
        return self.function(model, x=x, **slot, **self.settings, **execution)


def estimators() -> dict[str, Callable[..., Estimator]]:
    """The constructors that the files of this folder define, by name."""
    return defined("evidence", lambda value: hasattr(value, "estimates"))


def estimator(
    name: str, function: Callable[..., Estimate], *, posterior: str | None = None
) -> Callable[..., Estimator]:
    """Gives a function that estimates log p(x) a constructor of values with its settings.

    Args:
        name: The estimator's name, for errors.
        function: (model, x, settings, **execution) to an estimate.
        posterior: The name of its argument for q(z|x), if it takes one.
    """
    fixed = ("model", "x", posterior, *NAMES)
    settings = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.name not in fixed and p.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    names = [p.name for p in settings]

    def make(**given: Any) -> Estimator:
        for setting in given:
            if setting not in names:
                raise unknown(f"setting of {name}", setting, names)
        return Estimator(name, function, posterior, given)

    make.__name__ = make.__qualname__ = name
    make.__module__, make.__doc__ = function.__module__, function.__doc__
    make.__dict__["estimates"] = function
    make.__dict__["__signature__"] = inspect.Signature(settings)
    return make
