"""What the estimators share: data in, one fit without settings, and pickles of our own files.

A pickle holds the fitted model as the bytes that `tb.save` writes and all else as JSON holds it:
none of our objects but the estimator itself, and no code.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from tightbound.core.errors import UsageError, is_whole
from tightbound.data import Schema
from tightbound.recipes.tables import LEAST_ROWS, Candidate, Choice, TableFit, fit_table
from tightbound.sklearn.callbacks import CallbackSupportMixin, fit_task, with_callbacks
from tightbound.sklearn.coding import Coding, coded, is_frame
from tightbound.training import Run
from tightbound.training.saving import run_from_bytes, run_to_bytes

_SCHEMA = "tightbound.schema"


class TableEstimator(CallbackSupportMixin, BaseEstimator):
    """An estimator over one model of rows, found without settings.

    Attributes:
        run_: The fitted model as `tb.save` takes it.
        choice_: What was tried, and what was chosen.
        coding_: What became of the columns of X.
        seed_: The seed of all draws, by `random_state`.
    """

    candidates: Any
    schema: Any
    random_state: Any
    run_: Run
    choice_: Choice
    coding_: Coding
    seed_: int

    _runs: tuple[str, ...] = ("run_",)
    """Attributes that hold fitted models, which pickles hold as files of ours."""

    @property
    def model_(self) -> Any:
        """The fitted p(x, z), for the functions of tightbound."""
        return self._fitted().model

    @property
    def posterior_(self) -> Any:
        """Its q(z|x); None where p(z|x) is known."""
        return self._fitted().posterior

    @property
    def schema_(self) -> Schema:
        """The columns that the model sees, and why it does not see the others (`dropped`)."""
        self._fitted()
        return self.coding_.schema

    @property
    def log_p_(self) -> float:
        """Mean log p(x_observed) of the best candidate in nats, of rows that it did not see."""
        self._fitted()
        return self.choice_.candidates[0].log_p

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> Any:
        """Finds and fits a model of the rows.

        Args:
            X: Shape (n_samples, n_features): numbers, NaN where they are missing; or a frame of
                pandas or polars, whose columns may be words.
            y: Ignored.

        Raises:
            ValueError: Data that no model can be fitted to, and why.
        """
        with fit_task(self, X, y):
            seen = self._validated(X, reset=True)
            self.seed_ = self._seed()
            rows = self._rows_to_fit(len(seen))
            if rows.sum() < LEAST_ROWS:
                raise UsageError(
                    f"expected {LEAST_ROWS} rows or more to fit, got {rows.sum()} of n_samples = "
                    f"{len(seen)}, n_features = {seen.shape[1]}"
                )
            self.coding_, x = coded(seen, self.schema, rows)
            found = self._found(x[rows], self.candidates)
            self.run_, self.choice_ = found.run, found.choice
            self._after_fit(x, rows)
        return self

    def _found(self, x: Float[np.ndarray, "n d"], candidates: Any) -> TableFit:
        """The best of some candidates for rows as the model sees them."""
        return fit_table(
            x, schema=self.coding_.own, candidates=candidates, key=self.seed_, progress=False
        )

    def _rows_to_fit(self, n: int) -> Bool[np.ndarray, " n"]:
        """Which rows the model is fitted to: all."""
        return np.ones(n, bool)

    def _after_fit(self, x: Float[np.ndarray, "n d"], rows: Bool[np.ndarray, " n"]) -> None:
        """What else is to be learned, given the numbers of all rows and which were fitted to."""

    def _checked(self, X: Any) -> tuple[Any, Float[np.ndarray, "n d"]]:
        """New rows as they were given, checked, and the numbers that the model sees of them."""
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        return X, self.coding_.numbers(X)

    def _validated(self, X: Any, *, reset: bool) -> Any:
        """A frame as it is, with its names and number of columns checked; else an array."""
        framed = is_frame(X) and (reset or self.coding_.framed)
        if framed:
            return validate_data(self, X, reset=reset, skip_check_array=True)
        return validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
        )

    def _seed(self) -> int:
        if is_whole(self.random_state):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _fitted(self) -> Run:
        if "run_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} is not fitted yet: call fit(X)")
        return self.run_

    def __sklearn_tags__(self) -> Any:
        """Holes are taken everywhere, and levels in frames."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """The state without objects of ours."""
        before: Any = super().__getstate__()
        state = dict(before)  # which may be the estimator's own
        if isinstance(state.get("schema"), Schema):
            state["schema"] = {_SCHEMA: state["schema"].to_entries()}
        for name in self._runs:
            if state.get(name) is not None:
                state[name] = run_to_bytes(state[name])
        if "run_" in state:
            state["choice_"] = asdict(state["choice_"])
            state["coding_"] = state["coding_"].to_entries()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Reads what `__getstate__` gave.

        Raises:
            UsageError: The model's bytes are damaged.
        """
        state = dict(state)
        said = state.get("schema")
        if isinstance(said, dict) and _SCHEMA in said:
            state["schema"] = Schema.from_entries(said[_SCHEMA], "the schema")
        for name in self._runs:
            if state.get(name) is not None:
                state[name] = run_from_bytes(state[name], f"the pickled {type(self).__name__}")
        if "run_" in state:
            tried = tuple(Candidate(**of) for of in state["choice_"]["candidates"])
            state["choice_"] = Choice(**(state["choice_"] | {"candidates": tried}))
            state["coding_"] = Coding.from_entries(state["coding_"])
        super().__setstate__(state)
