"""Holes filled by what a model expects of them given the rest of the row, or several times.

Reference: Rubin 1987, Multiple Imputation for Nonresponse in Surveys; see `tb.impute`.
Bias: that of `tb.impute`, and what the model has wrong.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from sklearn.base import OneToOneFeatureMixin, TransformerMixin

from tightbound.core.errors import UsageError, at_least
from tightbound.sklearn.base import TableEstimator
from tightbound.sklearn.coding import EMPTY
from tightbound.tasks import Predictive, predictive


class DeepImputer(OneToOneFeatureMixin, TransformerMixin, TableEstimator):
    """Fills holes by their expected values, and those of levels by the most probable one.

    Known values are given back as they came, columns of one value alone are filled by it. A frame
    comes back as such a frame, with its types and categories, an array as an array of its type;
    `set_output` has it otherwise.

    Expected values are right for one value at a time. What rests on many cells, such as a variance
    or a regression, needs several completed tables: `sample`.

    Args:
        n_imputations: How many tables `sample` gives.
        candidates: Names of the models to choose from; None for all.
        schema: What the columns of a frame are, where it is not as `tb.data` infers: a
            `tb.data.Schema`, a file of it, or words as for `tb.data.load`, such as
            {"count": ["children"]}.
        random_state: Seed of starts and draws.
    """

    def __init__(
        self,
        *,
        n_imputations: Any = 5,
        candidates: Any = None,
        schema: Any = None,
        random_state: Any = None,
    ) -> None:
        """Anything is taken, as scikit-learn asks of constructors: `fit` checks."""
        self.n_imputations = n_imputations
        self.candidates = candidates
        self.schema = schema
        self.random_state = random_state

    def transform(self, X: Any) -> Any:
        """X with what is expected in its holes: the mean, or the most probable level.

        Raises:
            ValueError: Other columns than at fit, levels that it did not have, or a hole in a
                column that the model does not see.
        """
        X, x = self._checked(X)
        return self.coding_.filled(X, self._predicted(x, 1).mean if np.isnan(x).any() else x)

    def sample(self, X: Any, n_imputations: int | None = None) -> list[Any]:
        """Completed tables, each with a draw of p(x_missing|x_observed) in its holes.

        Args:
            X: As for `transform`.
            n_imputations: How many, if not as many as the estimator's.

        Returns:
            Tables, each as `transform` gives one without `set_output`: a frame for a frame, an
            array for an array.

        Raises:
            ValueError: As for `transform`, or a number below 1.
        """
        m = self.n_imputations if n_imputations is None else n_imputations
        (m,) = at_least(1, n_imputations=m)
        X, x = self._checked(X)
        return [self.coding_.filled(X, table) for table in self._predicted(x, m).draws]

    def _after_fit(self, x: Float[np.ndarray, "n d"], rows: Bool[np.ndarray, " n"]) -> None:
        empty = [name for name, why in self.schema_.dropped if why == EMPTY]
        if empty:
            raise UsageError(
                f"column {empty[0]!r} has no value at all, so that nothing tells what to fill it "
                "with: leave it out"
            )

    def _predicted(self, x: Float[np.ndarray, "n d"], draws: int) -> Predictive:
        of = self.model_, self.posterior_
        return predictive(*of, x, draws=draws, adapt=True, key=self.seed_, progress=False)
