"""Any NumPyro model with continuous latents as a target on R^dim.

Phan, Pradhan & Jankowiak 2019, arXiv 1912.11554 (NumPyro). Latents are moved to the real numbers by
NumPyro's own bijections, and the density counts their Jacobians: its integral Z is the evidence of
the data that the model is conditioned on.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro import distributions as dist
from numpyro.infer import init_to_uniform
from numpyro.infer.util import constrain_fn, log_density, potential_energy, unconstrain_fn

from tightbound.compilation import filter_jit
from tightbound.distributions import AbstractExplicit, NoPrior
from tightbound.errors import UsageError
from tightbound.models.target import Density, Target

Values = dict[str, Array]


@contextmanager
def _promoting() -> Iterator[None]:
    """NumPyro's own distributions mix types and ranks, which a strict caller may have forbidden."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class _Conditioned:
    """A NumPyro model with its arguments, and where its latents stand in one vector."""

    @_promoting()
    def __init__(self, model: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> None:
        """Runs the model once, from values that need not be draws: a prior may be improper."""
        # Values of latents come from outside; the key is for whatever else the model may draw.
        self.model = numpyro.handlers.seed(model, jax.random.key(0))
        self.drawn, self.args, self.kwargs = model, args, kwargs
        begun = numpyro.handlers.substitute(self.model, substitute_fn=init_to_uniform())
        trace = numpyro.handlers.trace(begun).get_trace(*args, **kwargs)
        _check(trace)
        latent = {
            name: site
            for name, site in trace.items()
            if site["type"] == "sample" and not site["is_observed"]
        }
        if not latent:
            raise UsageError(
                "expected a NumPyro model with latents, got one whose sample sites are all "
                "observed: there is nothing to infer"
            )
        self.names = tuple(latent)
        values = {name: site["value"] for name, site in latent.items()}
        self.shapes = {
            name: jnp.shape(of)
            for name, of in unconstrain_fn(self.model, args, kwargs, values).items()
        }
        self.dim = sum(math.prod(self.shapes[name]) for name in self.names)
        # A scaled or masked site is drawn from another law than the density says.
        self.drawable = not any(
            site["scale"] is not None or isinstance(site["fn"], dist.MaskedDistribution)
            for site in latent.values()
        )

    def parts(self, z: Float[Array, " dim"]) -> Values:
        """Unconstrained values by site."""
        found, first = {}, 0
        for name in self.names:
            size = math.prod(self.shapes[name])
            found[name] = z[first : first + size].reshape(self.shapes[name])
            first += size
        return found

    @_promoting()
    def constrain(self, z: Float[Array, " dim"], *, deterministic: bool) -> Values:
        """Values on the sites' own supports."""
        return constrain_fn(
            self.model, self.args, self.kwargs, self.parts(z), return_deterministic=deterministic
        )

    @_promoting()
    def log_prior(self, z: Float[Array, " dim"]) -> Float[Array, ""]:
        """Log-density of the latents on R^dim, in nats."""
        jacobians = {f"_{name}_log_det" for name in self.names}  # as NumPyro counts them: factors

        def observed(site: Any) -> bool:
            return bool(
                site["type"] == "sample" and site["is_observed"] and site["name"] not in jacobians
            )

        unobserved = numpyro.handlers.block(self.model, hide_fn=observed)
        energy = potential_energy(unobserved, self.args, self.kwargs, self.parts(z))
        return -jnp.asarray(energy)

    @_promoting()
    def log_likelihood(self, z: Float[Array, " dim"]) -> Float[Array, ""]:
        """Log-density of all that is observed, factors included, in nats."""
        given = numpyro.handlers.substitute(self.model, self.constrain(z, deterministic=False))
        observed = numpyro.handlers.block(given, hide=list(self.names))
        return jnp.asarray(log_density(observed, self.args, self.kwargs, {})[0], z.dtype)

    @_promoting()
    def draw(self, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """Latents as the model draws them, on R^dim."""
        seeded = numpyro.handlers.seed(self.drawn, key)
        trace = numpyro.handlers.trace(seeded).get_trace(*self.args, **self.kwargs)
        values = {name: trace[name]["value"] for name in self.names}
        free = unconstrain_fn(self.model, self.args, self.kwargs, values)
        return jnp.concatenate([jnp.ravel(free[name]) for name in self.names])


class SitesPrior(AbstractExplicit):
    """The joint law of a NumPyro model's latents, moved to R^dim."""

    conditioned: _Conditioned = eqx.field(static=True)

    @property
    def support(self) -> str:
        """All real numbers."""
        return "real"

    def sample(self, given: Any = None, *, key: PRNGKeyArray) -> Float[Array, " dim"]:
        """One draw."""
        del given
        return self.conditioned.draw(key)

    def log_prob(self, value: Float[Array, " dim"], given: Any = None) -> Float[Array, ""]:
        """Log-density in nats, with the Jacobians."""
        del given
        return self.conditioned.log_prior(value)

    def mean(self, given: Any = None) -> Float[Array, " dim"]:
        """The origin of R^dim, in place of a mean that is not known."""
        del given
        return jnp.zeros(self.conditioned.dim)


class NumPyroTarget(Target):
    """The posterior of a NumPyro model on R^dim; its log Z is the log-evidence of the data.

    The prior is the joint law of the latents and can be drawn; where it cannot (improper, scaled
    or masked sites) there is none, and the density is one function.
    """

    conditioned: _Conditioned = eqx.field(static=True)

    def __init__(self, conditioned: _Conditioned) -> None:
        """Takes the latents' law as the prior, if it can be drawn."""
        self.conditioned = conditioned
        if conditioned.drawable and _drawn(conditioned):
            self.prior = SitesPrior(conditioned)
            self.likelihood = Density(conditioned.log_likelihood)
        else:
            self.prior = NoPrior(conditioned.dim)
            self.likelihood = Density(
                lambda z: conditioned.log_prior(z) + conditioned.log_likelihood(z)
            )

    @property
    def dim(self) -> int:
        """Number of unconstrained dimensions, the length of z."""
        return self.conditioned.dim

    @property
    def sites(self) -> dict[str, tuple[int, ...]]:
        """Latent sites in the order of z, with the shapes of their values."""
        z = jax.ShapeDtypeStruct((self.dim,), jnp.float32)
        values = eqx.filter_eval_shape(self.conditioned.constrain, z, deterministic=False)
        return {name: values[name].shape for name in self.conditioned.names}

    def constrain(self, z: Float[Array | np.ndarray, "*batch dim"]) -> Values:
        """Values by the names of latent and deterministic sites, on their own supports.

        Args:
            z: Unconstrained values of shape (dim,), or batches of them.

        Returns:
            For each site an array of the batch's shape followed by the site's own.

        Raises:
            UsageError: Another last dimension than dim.
        """
        if jnp.shape(z)[-1:] != (self.dim,):
            raise UsageError(f"expected z of shape (..., {self.dim}), got {jnp.shape(z)}")
        return _constrained(self.conditioned, jnp.asarray(z))


def from_numpyro(model: Callable[..., Any], *args: Any, **kwargs: Any) -> NumPyroTarget:
    """Makes a target of a NumPyro model: its posterior, up to the evidence, on R^dim.

    Data are what the model observes: by `obs=`, from the arguments, or by
    `numpyro.handlers.condition`. `tb.evaluate` then estimates the model's log-evidence.

    Args:
        model: Any NumPyro model with continuous latents; constrained ones (positive, simplex,
            Cholesky factors, ...) are moved to the real numbers.
        *args: The model's arguments.
        **kwargs: The model's arguments by name.

    Returns:
        A `Target` that also knows the sites: `target.constrain(z)` gives values by name.

    Raises:
        UsageError: Latents that are discrete or fixed (they are named), no latents, `param` sites,
            plates that take a part of the data, or a model that depends on no key.
    """
    return NumPyroTarget(_Conditioned(model, args, kwargs))


@filter_jit
def _constrained(conditioned: _Conditioned, z: Float[Array, "*batch dim"]) -> Values:
    """Values by site for any batch."""

    def one(z: Float[Array, " dim"]) -> Values:
        return conditioned.constrain(z, deterministic=True)

    for _ in range(z.ndim - 1):
        one = jax.vmap(one)
    return one(z)


def _drawn(conditioned: _Conditioned) -> bool:
    """Whether the latents can be drawn: an improper law has a density and no draws."""
    try:
        jax.eval_shape(conditioned.draw, jax.random.key(0))
    except NotImplementedError:
        return False
    return True


def _check(trace: dict[str, Any]) -> None:
    """Refuses sites that are no density on R^dim, by name."""
    sites = trace.items()
    latent = [(n, s) for n, s in sites if s["type"] == "sample" and not s["is_observed"]]
    refused = {
        "latents are discrete; sum them out, or observe them": [
            name for name, site in latent if site["fn"].support.is_discrete
        ],
        "latents have a delta distribution; use numpyro.deterministic for them": [
            name for name, site in latent if isinstance(site["fn"], dist.Delta)
        ],
        "sites are parameters without a prior; give them one, or a value": [
            name for name, site in sites if site["type"] == "param"
        ],
        "plates take a random part of their data; evidence needs all of them": [
            name for name, site in sites if site["type"] == "plate" and site["args"][0] != len(
                site["value"]
            )
        ],
    }  # fmt: skip
    for why, names in refused.items():
        if names:
            raise UsageError(
                "expected a NumPyro model with continuous latents and a fixed density; these "
                f"{why}: {', '.join(names)}"
            )
