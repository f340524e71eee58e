"""Callbacks of `sklearn.callback`, which scikit-learn has from 1.9 on; before, nothing is called.

A fit is one task without parts: callbacks are told of its beginning and of its end.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks  # pyright: ignore[reportAssignmentType]
except ImportError:

    class CallbackSupportMixin:
        """Nothing, before scikit-learn 1.9."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """The method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "fit_task", "with_callbacks"]


@contextmanager
def fit_task(estimator: Any, X: Any, y: Any) -> Iterator[None]:
    """What is within is told of as a fit, within a method `with_callbacks`."""
    if not hasattr(estimator, "_init_callback_context"):
        yield
        return
    context = estimator._init_callback_context()
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    yield
    # With nothing but what the fit has left on the estimator, it is ready for use.
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y, reconstruction_attributes={})
