"""A NumPyro model with its arguments: where its latents stand in one vector, and their density.

Latents are placed by a handler inside of the model, which puts the density that `site_laws` finds
in the place of NumPyro's own, whose value would have to tell z.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro import distributions as dist
from numpyro.infer import init_to_uniform
from numpyro.infer.util import constrain_fn, log_density, potential_energy, unconstrain_fn
from numpyro.primitives import Messenger

from tightbound.core.errors import UsageError
from tightbound.core.streams import numbered, streams
from tightbound.models.numpyro.site_laws import Law, law_of, limited
from tightbound.models.numpyro.sites import check_sites

Values = dict[str, Array]


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
            else law.draw(numbered(self._given, len(self.z)))
        )
        self.z[name], self.values[name], self.laws[name] = z, law.value(z), law
        msg["value"] = self.values[name]
        msg["fn"] = _Placed(msg["fn"], law.log_density(z))


class Conditioned:
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
        laws_key, rest_key = streams(key, "numpyro.laws", "numpyro.rest")
        placed = _Laws(self.drawn, self.of_values, laws_key)
        seeded = numpyro.handlers.seed(placed, rest_key)
        trace = numpyro.handlers.trace(seeded).get_trace(*self.args, **self.kwargs)
        free = placed.z
        if len(free) < len(self.names):
            values = {name: trace[name]["value"] for name in self.names}
            free = unconstrain_fn(self.model, self.args, self.kwargs, values) | free
        return jnp.concatenate([jnp.ravel(free[name]) for name in self.names])
