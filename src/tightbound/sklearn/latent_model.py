"""A model of rows as a transformer: what is expected of its latent variable, draws, densities.

Bias: that of `tb.tasks.encode` and `tb.score`; none of a finite latent variable.
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from sklearn.base import ClassNamePrefixFeaturesOutMixin, DensityMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import at_least
from tightbound.core.streams import as_key, first_keys, stream
from tightbound.sklearn.base import TableEstimator
from tightbound.tasks import decode, encode, score


class DeepLatentModel(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMixin, TableEstimator
):
    """p(x, z) of rows, with what it says of z given x and of x given z.

    Args:
        candidates: Names of the models to choose from; None for all.
        schema: What the columns of a frame are, where it is not as `tb.data` infers: a
            `tb.data.Schema`, a file of it, or words as for `tb.data.load`, such as
            {"count": ["children"]}.
        random_state: Seed of starts and draws.
    """

    def __init__(
        self, *, candidates: Any = None, schema: Any = None, random_state: Any = None
    ) -> None:
        """Anything is taken, as scikit-learn asks of constructors: `fit` checks."""
        self.candidates = candidates
        self.schema = schema
        self.random_state = random_state

    def transform(self, X: Any) -> Float[np.ndarray, "n latent"]:
        """E[z|x_observed], shape (n_samples, latent).

        Of a model of finitely many z (a Gaussian, a mixture) it is the probability of each.

        Raises:
            ValueError: Other columns than at fit, or levels that it did not have.
        """
        X, x = self._checked(X)
        found = encode(self.model_, self.posterior_, x, key=self.seed_, progress=False)
        return found.astype(np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64)

    def inverse_transform(self, X: Any) -> Any:
        """E[x|z], shape (n_samples, n_features); of columns with levels the most probable one.

        Args:
            X: As `transform` gives it.

        Returns:
            An array, of objects where columns hold words. Columns that the model does not see have
            the one value that they had at fit, else NaN.

        Raises:
            ValueError: Another width than `transform` has.
        """
        check_is_fitted(self)
        found = decode(self.model_, check_array(X, dtype="float32")).x
        return self.coding_.restored(found.astype(np.float64))

    def sample(self, n_samples: int = 1) -> Any:
        """Draws of new rows, shape (n_samples, n_features), as `inverse_transform` gives rows.

        The z that they came from stay out, unlike the labels of `GaussianMixture.sample`. As there,
        each call begins anew with `random_state` where that is a number.

        Raises:
            ValueError: A number of draws below 1.
        """
        check_is_fitted(self)
        (n,) = at_least(1, n_samples=n_samples)
        key = stream(as_key(self._seed()), "sklearn.sample")
        x = np.asarray(_drawn(self.model_, first_keys(key, n)), np.float64)
        return self.coding_.restored(x)

    def score_samples(self, X: Any) -> Float[np.ndarray, " n"]:
        """Log p(x_observed) of each row in nats, as `tb.score` gives it.

        Raises:
            ValueError: As for `transform`.
        """
        _, x = self._checked(X)
        of = self.model_, self.posterior_
        return score(*of, x, blame=[], key=self.seed_, progress=False).log_p

    def score(self, X: Any, y: Any = None) -> float:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Mean log p(x_observed) of the rows in nats.

        Args:
            X: As for `transform`.
            y: Ignored.
        """
        return float(np.mean(self.score_samples(X)))

    @property
    def _n_features_out(self) -> int:
        row = np.full((1, len(self.schema_.columns)), np.nan)
        return encode(self.model_, self.posterior_, row, k=1, progress=False).shape[1]


@filter_jit
def _drawn(model: Any, keys: Any) -> Any:
    return jax.vmap(lambda key: model.sample(key)[0])(keys)
