"""Any NumPyro model with continuous latents as a target on R^dim.

Phan, Pradhan & Jankowiak 2019, arXiv 1912.11554 (NumPyro). Latents are moved to the real numbers
(`site_laws`), and the density counts the Jacobians: its integral Z is the evidence of the data that
the model is conditioned on, if all latents have a normalised density (`numpyro_sites`).
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
from numpyro.primitives import Messenger

from tightbound.distributions import AbstractExplicit, NoPrior
from tightbound.errors import UsageError
from tightbound.models.numpyro_sites import check_sites
from tightbound.models.site_laws import Law, continued, law_of, limited
from tightbound.models.target import Density, LogDensity, Target

Values = dict[str, Array]
EARLIER = 0.8
"""Share of the limits (`site_laws.LIMITS`) within which a density is checked against itself."""


@contextmanager
def _promoting() -> Iterator[None]:
    """NumPyro's own distributions mix types and ranks, which a strict caller may have forbidden."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class _Placed(dist.Distribution):
    """A latent's distribution whose density has been found where its z is known."""

    def __init__(self, fn: Any, log_density: Any) -> None:
        """Stands in for `fn`."""
        super().__init__(fn.batch_shape, fn.event_shape)
        self._fn, self._log_density = fn, log_density

    @property
    def support(self) -> Any:
        """That of the distribution."""
        return self._fn.support

    def log_prob(self, value: Any, intermediates: Any = None) -> Any:
        """Of the whole site in nats, with the Jacobian."""
        del value, intermediates
        return self._log_density


class _Laws(Messenger):
    """Puts latents where their laws have them, at a given z or at a draw of it."""

    def __init__(
        self, model: Any, shapes: dict[str, tuple[int, ...]], z: Any, reach: float = 1.0
    ) -> None:
        """Takes shapes of values by site, z by site or a key, and the reach of `law_of`."""
        super().__init__(model)
        self._shapes, self._given, self._reach = shapes, z, reach
        self.z: Values = {}
        self.values: Values = {}
        self.laws: dict[str, Law] = {}

    def process_message(self, msg: Any) -> None:
        """Sets a latent's value, and its density there."""
        name = msg.get("name")
        if msg["type"] != "sample" or msg["is_observed"] or name not in self._shapes:
            return
        law = law_of(msg["fn"], self._shapes[name], self._reach)
        z = (
            self._given[name]
            if isinstance(self._given, dict)
            else law.draw(jax.random.fold_in(self._given, len(self.z)))
        )
        self.z[name], self.values[name], self.laws[name] = z, law.value(z), law
        msg["value"] = self.values[name]
        msg["fn"] = _Placed(msg["fn"], law.log_density(z))


class _Conditioned:
    """A NumPyro model with its arguments, and where its latents stand in one vector.

    Latents inside of `numpyro.contrib.control_flow.scan` are out of the reach of handlers; for them
    it is NumPyro that moves values and counts Jacobians.
    """

    @_promoting()
    def __init__(self, model: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> None:
        """Runs the model once, from values that need not be draws."""
        # Values of latents come from outside; the key is for whatever else the model may draw.
        self.model = numpyro.handlers.seed(model, jax.random.key(0))
        self.drawn, self.args, self.kwargs = model, args, kwargs
        begun = numpyro.handlers.substitute(self.model, substitute_fn=init_to_uniform())
        trace = numpyro.handlers.trace(begun).get_trace(*args, **kwargs)
        check_sites(trace)
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
        self.of_values = {
            name: jnp.shape(values[name])
            for name, site in latent.items()
            if not site.get("_control_flow_done", False)
        }
        laws = {name: law_of(latent[name]["fn"], shape) for name, shape in self.of_values.items()}
        self.shapes |= {name: law.shape for name, law in laws.items()}
        # Whether all values tell their z, wherever it is.
        self.everywhere = all(law.ends == (None, None) for law in laws.values())
        self.dim = sum(math.prod(self.shapes[name]) for name in self.names)

    def parts(self, z: Float[Array, " dim"]) -> Values:
        """Unconstrained values by site."""
        found, first = {}, 0
        for name in self.names:
            size = math.prod(self.shapes[name])
            found[name] = z[first : first + size].reshape(self.shapes[name])
            first += size
        return found

    def _placed(self, z: Float[Array, " dim"], reach: float = 1.0) -> tuple[_Laws, Values]:
        """The model with its latents at z, and the z of those that NumPyro has to place."""
        parts = self.parts(z)
        laws = _Laws(self.model, self.of_values, parts, reach)
        return laws, {name: parts[name] for name in self.names if name not in self.of_values}

    @_promoting()
    def constrain(self, z: Float[Array, " dim"], *, deterministic: bool) -> Values:
        """Values on the sites' own supports."""
        placed, rest = self._placed(z)
        found = constrain_fn(
            placed, self.args, self.kwargs, rest, return_deterministic=deterministic
        )
        return placed.values | found

    @_promoting()
    def within(self, z: Float[Array, " dim"], reach: float) -> Float[Array, " dim"]:
        """The nearest z at which all values, as floats, still tell their z."""
        placed, rest = self._placed(z)
        constrain_fn(placed, self.args, self.kwargs, rest)
        near = rest | {
            name: limited(law, placed.z[name], reach) for name, law in placed.laws.items()
        }
        return jnp.concatenate([jnp.ravel(near[name]) for name in self.names])

    @_promoting()
    def log_prior(self, z: Float[Array, " dim"], reach: float = 1.0) -> Float[Array, ""]:
        """Log-density of the latents on R^dim, in nats."""
        placed, rest = self._placed(z, reach)
        jacobians = {f"_{name}_log_det" for name in rest}  # as NumPyro counts them: factors

        def observed(site: Any) -> bool:
            return bool(
                site["type"] == "sample" and site["is_observed"] and site["name"] not in jacobians
            )

        unobserved = numpyro.handlers.block(placed, hide_fn=observed)
        energy = potential_energy(unobserved, self.args, self.kwargs, rest)
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
        laws_key, rest_key = jax.random.split(key)
        placed = _Laws(self.drawn, self.of_values, laws_key)
        seeded = numpyro.handlers.seed(placed, rest_key)
        trace = numpyro.handlers.trace(seeded).get_trace(*self.args, **self.kwargs)
        free = placed.z
        if len(free) < len(self.names):
            values = {name: trace[name]["value"] for name in self.names}
            free = unconstrain_fn(self.model, self.args, self.kwargs, values) | free
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

    The prior is the joint law of the latents and can be drawn; where NumPyro has no draws of a
    site there is none, and the density is one function.
    """

    conditioned: _Conditioned = eqx.field(static=True)

    def __init__(self, conditioned: _Conditioned) -> None:
        """Takes the latents' law as the prior, if it can be drawn."""
        self.conditioned = conditioned
        if _drawn(conditioned):
            self.prior = SitesPrior(conditioned)
            self.likelihood = Density(conditioned.log_likelihood)
        else:
            self.prior = NoPrior(conditioned.dim)
            self.likelihood = Density(
                lambda z: conditioned.log_prior(z) + conditioned.log_likelihood(z)
            )

    @property
    def continued(self) -> LogDensity | None:
        """The log-density by other means where values, as floats, no longer tell their z.

        There the likelihood goes on as a straight line in z, and so does the prior, where it has
        to, from an earlier point: what comes out differently has been spoilt by rounding. None if
        all values tell their z.
        """
        conditioned = self.conditioned
        if conditioned.everywhere:
            return None
        return lambda z: (
            conditioned.log_prior(z, EARLIER)
            + continued(conditioned.log_likelihood, conditioned.within(z, EARLIER), z)
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
        UsageError: Latents that are discrete, fixed or without a normalised density, such as those
            of `obs_mask=` (they are named), no latents, `param` sites, observed sites under
            `handlers.scale`, or plates that take a part of the data.
    """
    return NumPyroTarget(_Conditioned(model, args, kwargs))


@eqx.filter_jit
def _constrained(conditioned: _Conditioned, z: Float[Array, "*batch dim"]) -> Values:
    """Values by site for any batch."""

    def one(z: Float[Array, " dim"]) -> Values:
        return conditioned.constrain(z, deterministic=True)

    for _ in range(z.ndim - 1):
        one = jax.vmap(one)
    return one(z)


def _drawn(conditioned: _Conditioned) -> bool:
    """Whether the latents can be drawn: a distribution of the user's own may have no draws."""
    try:
        jax.eval_shape(conditioned.draw, jax.random.key(0))
    except (NotImplementedError, ImportError):  # the latter from optional packages of NumPyro
        return False
    return True
