"""Binarisation of grey values: a pixel is one with the probability that its grey value gives.

Reference: Salakhutdinov & Murray 2008; Burda et al. 2015, arXiv 1509.00519, footnote 2.
Likelihoods under "dynamic" and "fixed" are about two nats apart on MNIST: never compare them.
"""

from typing import Any, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from tightbound.core.compilation import jit
from tightbound.core.errors import UsageError
from tightbound.core.items import Items
from tightbound.core.streams import as_key, item_keys, numbered, stream
from tightbound.data.check import blocks, check_values

MODES = ("auto", "dynamic", "fixed", "none")


class Binarisation(NamedTuple):
    """How values become binary: the mode, and for "fixed" the seed of the one draw."""

    mode: str
    seed: int = 0

    @property
    def description(self) -> str:
        """The binarisation in words, to stand beside every number."""
        return {
            "dynamic": "dynamic (drawn anew each time an item is used)",
            "fixed": f"fixed (drawn once, seed {self.seed})",
            "none": "none (values as they are)",
        }[self.mode]

    @property
    def names(self) -> tuple[str, ...]:
        """What asks for it."""
        if self.mode != "fixed":
            return (self.mode,)
        return (f"fixed:{self.seed}", *(() if self.seed else ("fixed",)))

    @property
    def once(self) -> str:
        """The same where each item is used once, as in an evaluation."""
        return "one draw per item" if self.mode == "dynamic" else self.description

    def seen(self, items: Items, *, use: int | Int[Array, ""], key: PRNGKeyArray) -> Items:
        """Data as the model sees them when they are used for the `use`-th time."""
        return items._replace(x=self(items.x, items.rows, use=use, key=key))

    def __call__(
        self,
        x: Float[Array, "n *item"],
        items: Int[Array, " n"],
        *,
        use: int | Int[Array, ""],
        key: PRNGKeyArray,
    ) -> Float[Array, "n *item"]:
        """The values to train on, when the items are used for the `use`-th time."""
        if self.mode == "none":
            return x
        if self.mode == "fixed":
            return _drawn(x, items, stream(as_key(self.seed), "binarisation.fixed"), None)
        return _drawn(x, items, key, use)


def evaluated_key(key: SupportsIndex | PRNGKeyArray) -> PRNGKeyArray:
    """The stream by which items are binarised to be judged: by all estimators and pages alike."""
    return stream(as_key(key), "binarisation.evaluated")


@jit
def _drawn(
    x: Float[Array, "n *item"],
    items: Int[Array, " n"],
    key: PRNGKeyArray,
    use: int | Int[Array, ""] | None,
) -> Float[Array, "n *item"]:
    keys = item_keys(key, items)
    if use is not None:
        keys = jax.vmap(lambda key: numbered(key, use))(keys)
    u = jax.vmap(lambda key: jax.random.uniform(key, x.shape[1:]))(keys)
    return jnp.astype(u < x, x.dtype)


def resolve(
    binarize: str,
    support: str,
    x: Shaped[np.ndarray, "n *item"],
    what: str,
    dtype: Any = np.float32,
    *,
    columns: tuple[str, ...] = (),
    sequences: bool = False,
) -> Binarisation:
    """Chooses the binarisation and checks the values against the likelihood's support, once.

    Args:
        binarize: "auto" (dynamic where the likelihood is Bernoulli and a value is neither 0 nor 1,
            else none), "dynamic", "fixed" or "fixed:SEED", or "none".
        support: Where the likelihood's values must lie: "binary", "unit", "positive" or "real".
        x: All values, on the host; NaN where they are missing.
        what: What the values are, for the error.
        dtype: The precision in which they are looked at.
        columns: The columns' names, for the error.
        sequences: Whether items are sequences of shape (steps, d), for the error.

    Raises:
        UsageError: An unknown mode, or a value outside the support: row and column are named.
    """
    mode, _, seed = binarize.partition(":")
    seed_given = seed.isdecimal() and int(seed) < 2**32  # beyond it, seeds would coincide
    if mode not in MODES or (seed and not (mode == "fixed" and seed_given)):
        raise UsageError(
            f"expected binarize out of {', '.join(MODES)} or fixed:SEED with a seed below 2**32, "
            f"got {binarize!r}"
        )
    if mode == "auto":
        mode = "dynamic" if support == "binary" and not is_binary(x, dtype) else "none"
    if mode == "none" and support == "binary":
        what = f"{what} (a Bernoulli likelihood with binarize='none')"
    where = support if mode == "none" else "unit"
    check_values(x, where, what, columns, holes=True, dtype=dtype, sequences=sequences)
    return Binarisation(mode, int(seed or 0))


def is_binary(x: Shaped[np.ndarray, "n *item"], dtype: Any) -> bool:
    """Whether every value that is there is 0 or 1."""
    return all(np.all((x == 0) | (x == 1) | np.isnan(x)) for _, x in blocks(x, dtype))
