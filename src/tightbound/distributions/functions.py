"""Conditionals from plain functions on arrays, such as the decoder and encoder of others."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import condition, values
from tightbound.core.supports import COLUMNWISE, SIMPLEX, Support
from tightbound.distributions.contracts import AbstractExplicit

SUPPORTS = (*COLUMNWISE, SIMPLEX)


class FromFunctions(AbstractExplicit):
    """A conditional made by `from_functions`; what each of them gives is checked when it is used.

    The functions may be trees of arrays themselves, such as Equinox modules.
    """

    log_density: Callable[..., Any]
    each: Callable[..., Any] | None
    draw: Callable[..., Any] | None
    expectation: Callable[..., Any] | None
    where: str = eqx.field(static=True)
    dim: int | None = eqx.field(static=True)

    @property
    def support(self) -> str:
        """Where values must lie, as declared."""
        return self.where

    @property
    def reparameterized(self) -> bool:
        """Draws are taken to be differentiable, unless they are binary."""
        return self.where != "binary"

    @property
    def offers(self) -> frozenset[str]:
        """The density, its score, and draws if there is a function for them."""
        return super().offers - (frozenset({"samples"}) if self.draw is None else frozenset())

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Any:
        """One draw as floats; an error in words if there is no `sample`."""
        if self.draw is None:
            raise UsageError(
                "this needs draws of a distribution that was made from functions without one for "
                "them: pass sample= too"
            )
        return self._sized(called(self.draw, "sample(given, key)", _plainly(given), key), "sample")

    def log_prob(self, value: Any, given: Any = None) -> Float[Array, ""]:
        """Log-density in nats."""
        return called_for_one(self.log_density, "log_prob(value, given)", value, _plainly(given))

    def log_prob_each(self, value: Any, given: Any = None) -> Any:
        """Log-density of each entry in nats; an error in words if there is no function for it."""
        if self.each is None:
            raise UsageError(
                "data have missing values, and this needs the log-density of every value by itself "
                "of a likelihood that was made from functions without one for it: pass "
                "log_prob_each= to tb.distributions.from_functions"
            )
        terms = called(self.each, "log_prob_each(value, given)", value, _plainly(given))
        if shapes(terms) != shapes(value):
            raise UsageError(
                "expected log_prob_each of one value to be the log-density of each of its numbers, "
                f"of shape {shapes(value)}, got {shapes(terms)}"
            )
        return terms

    def mean(self, given: Any = None) -> Any:
        """Expected value given one value; an error in words if there is no `mean`."""
        if self.expectation is None:
            raise UsageError(
                "this needs the mean of a distribution that was made from functions without one "
                "for it: pass mean= too"
            )
        return self._sized(called(self.expectation, "mean(given)", _plainly(given)), "mean")

    def _sized(self, value: Any, name: str) -> Any:
        """The value as floats, refused if it is not of shape (dim,)."""
        value = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(float)), value)
        if self.dim is not None and shapes(value) != f"({self.dim},)":
            raise UsageError(
                f"expected {name} to give one value of shape ({self.dim},), got {shapes(value)}"
            )
        return value


def from_functions(
    *,
    log_prob: Callable[..., Any],
    log_prob_each: Callable[..., Any] | None = None,
    sample: Callable[..., Any] | None = None,
    mean: Callable[..., Any] | None = None,
    support: str = "real",
    dim: int | None = None,
) -> FromFunctions:
    """Makes a conditional (a prior, likelihood or posterior) from functions of one value.

    They are written in `jax.numpy` for one value and one thing given, without a batch axis;
    batches are made by `vmap`. One written for batches becomes one for a single value by
    `lambda value, given: f(value[None], given[None])[0]`. A posterior q(z|x) is given x, a
    likelihood p(x|z) is given z, a prior is given None. In a model with a condition c they are
    given the pairs (x, c) and (z, c), and c.

    Arrays that a function merely mentions are constants of the compiled program: large ones belong
    into an Equinox module, or into `jax.tree_util.Partial(f, arrays)`, which calls
    `f(arrays, value, given)`.

    Args:
        log_prob: (value, given) to the log-density (or log-mass) in nats, of shape ().
        log_prob_each: (value, given) to the log-density of each number of a value, of its shape;
            needed of likelihoods where data have missing values. A posterior is given 0 in their
            place.
        sample: (given, key) to one draw; needed of posteriors, and where data are simulated.
        mean: given to the expected value; needed by `tb.diagnostics.active_units`.
        support: Where values lie: "binary", "unit", "positive", "real" or "simplex"; data are
            checked against that of the likelihood.
        dim: Size of a value, of shape (dim,). A likelihood without `sample` needs it.

    Raises:
        UsageError: An unknown support, or dim < 1. When the functions are used: a log-density
            that is no single number, draws that are not of shape (dim,), or a function that JAX
            cannot trace.
    """
    if support not in SUPPORTS and not isinstance(support, Support):
        raise UsageError(f"expected a support out of {', '.join(SUPPORTS)}, got {support!r}")
    if dim is not None and dim < 1:
        raise UsageError(f"expected dim >= 1, got {dim}")
    return FromFunctions(log_prob, log_prob_each, sample, mean, support, dim)


def _plainly(given: Any) -> Any:
    """What is given as functions take it: values, and with a condition a pair of both."""
    beside = condition(given)
    return values(given) if beside is None else (values(given), beside)


class NoPrior(AbstractExplicit):
    """Stands for the prior where a log-joint is one function: density 1, and nothing to draw."""

    dim: int | None = eqx.field(static=True, default=None)
    """Size of z, if it is known."""

    @property
    def support(self) -> str:
        """Not restricted: whatever the posterior draws."""
        return "real"

    @property
    def offers(self) -> frozenset[str]:
        """The density 1."""
        return frozenset({"density", "score"})

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Any:
        """An error in words."""
        del given, key
        raise UsageError(
            "this needs draws of a prior p(z), and the density is one function without any: give "
            "it a prior= when it is made, or a distribution to start at (start=) if there is the "
            "choice"
        )

    def log_prob(self, value: Any, given: Any = None) -> Float[Array, ""]:
        """Zero: all is in the likelihood."""
        del given
        return jnp.zeros([], jax.tree.leaves(value)[0].dtype)

    def mean(self, given: Any = None) -> Any:
        """The origin, in place of a mean; an error in words if the size of z is not known."""
        del given
        if self.dim is None:
            raise UsageError("this needs a prior p(z): give the log-joint a prior= when it is made")
        return jnp.zeros(self.dim)


def called(function: Callable[..., Any], what: str, *arguments: Any) -> Any:
    """Calls somebody's function; an error says which one it was and what it was given.

    Raises:
        UsageError: The function cannot be traced by JAX, since it leaves `jax.numpy`.
    """
    try:
        return function(*arguments)
    except UsageError:
        raise
    except Exception as error:
        # JAX's own errors on arrays without values, and those of libraries that it is unknown to.
        if "Tracer" in f"{type(error).__name__}: {error}":
            raise UsageError(
                f"expected {what} to be written in jax.numpy throughout, so that it can be "
                "compiled and differentiated; it hands an array to NumPy, PyTorch or the like"
            ) from error
        error.add_note(f"in {what}, called with shapes {', '.join(map(shapes, arguments))}")
        raise


def called_for_one(function: Callable[..., Any], what: str, *arguments: Any) -> Float[Array, ""]:
    """Calls somebody's log-density.

    Raises:
        UsageError: It gives anything but one real number in single (or double) precision.
    """
    value = called(function, what, *arguments)
    if shapes(value) != "()":
        raise UsageError(
            f"expected {what} of one value to be one real number, an array of shape (), got "
            f"{shapes(value)} for shapes {', '.join(map(shapes, arguments))}; it is called "
            "without a batch axis, and sums over the dimensions of a value"
        )
    number = jnp.asarray(value)
    if number.dtype not in (jnp.float32, jnp.float64):
        raise UsageError(
            f"expected {what} to be one real number in float32, got {number.dtype} (half "
            "precision would round log-densities by whole nats)"
        )
    return number


def shapes(value: Any) -> str:
    """The shape of an array or number, or those of a tree, in words."""
    if isinstance(value, tuple | list | dict):
        return f"{type(value).__name__} of {', '.join(map(shapes, jax.tree.leaves(value))) or 0}"
    if value is None or not hasattr(value, "shape"):
        return "()" if isinstance(value, bool | int | float) else type(value).__name__
    return str(tuple(value.shape))
