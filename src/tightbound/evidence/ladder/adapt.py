"""Shares, locations and scales of the mixture from weighted draws of it.

A draw counts for each component by the share that this has in the mixture's density there. What a
component has few effective draws for stays as it was.

Reference: Cappe, Douc, Guillin, Marin & Robert 2008, Stat. Comput. 18, arXiv 0710.4242, section 4
(mixtures of Student-t laws).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.evidence.ladder.cover import Cover

ENOUGH = 20
"""Effective draws of a component at which its mass is half from them; as many for each dimension
at which its location and scales are."""


class Pool(NamedTuple):
    """Draws of several covers, weighted as draws of the mixture of all of them."""

    covers: tuple[Cover, ...]
    u: Float[np.ndarray, "n d"]
    log_density: Float[np.ndarray, " n"]
    log_each: Float[np.ndarray, "n j"]
    """Log-density of each cover at each draw."""

    @staticmethod
    def of(cover: Cover, u: Float[np.ndarray, "n d"], log_w: Float[np.ndarray, " n"]) -> "Pool":
        """The draws of one cover."""
        log_prob = cover.log_prob(u)
        return Pool((cover,), u, log_w + log_prob, log_prob[:, None])

    def plus(
        self, cover: Cover, u: Float[np.ndarray, "m d"], log_w: Float[np.ndarray, " m"]
    ) -> "Pool":
        """With the draws of one more."""
        more = [*(other.log_prob(u) for other in self.covers), cover.log_prob(u)]
        earlier = np.column_stack([self.log_each, cover.log_prob(self.u)])
        return Pool(
            (*self.covers, cover),
            np.concatenate([self.u, u]),
            np.concatenate([self.log_density, log_w + more[-1]]),
            np.concatenate([earlier, np.stack(more, axis=1)]),
        )

    @property
    def log_w(self) -> Float[np.ndarray, " n"]:
        """Log-weights: covers have as many draws each."""
        mixed = np.logaddexp.reduce(self.log_each, axis=1) - np.log(len(self.covers))
        return self.log_density - mixed


def reweighted(cover: Cover, u: Float[np.ndarray, "n d"], log_w: Float[np.ndarray, " n"]) -> Cover:
    """The cover with masses as weighted draws of its mixture say."""
    return cover._replace(log_mass=_log_mass(cover, log_w, *_masses(cover, u, log_w)))


def refitted(cover: Cover, u: Float[np.ndarray, "n d"], log_w: Float[np.ndarray, " n"]) -> Cover:
    """The cover with masses, locations and scales as weighted draws of its mixture say."""
    mass, effective = _masses(cover, u, log_w)
    d = u.shape[1]
    location, factor = cover.location.copy(), cover.factor.copy()
    for c in np.flatnonzero(effective > 1):
        old, new = cover.location[c], effective[c] / (effective[c] + ENOUGH * d)
        white = (u - old) @ np.linalg.inv(factor[c]).T
        # What a Student-t law makes of a draw: those far away count less.
        share = (
            mass[:, c]
            / np.sum(mass[:, c])
            * (cover.dof + d)
            / (cover.dof + np.sum(white**2, axis=1))
        )
        mean = share @ u / np.sum(share)
        spread = np.einsum("n,ni,nj->ij", share, u - mean, u - mean)
        between = (1 - new) * np.outer(mean - old, mean - old)
        location[c] = new * mean + (1 - new) * old
        factor[c] = np.linalg.cholesky(
            new * (spread + between) + (1 - new) * factor[c] @ factor[c].T
        )
    return Cover(location, factor, _log_mass(cover, log_w, mass, effective))


def _log_mass(
    cover: Cover,
    log_w: Float[np.ndarray, " n"],
    mass: Float[np.ndarray, "n c"],
    effective: Float[np.ndarray, " c"],
) -> Float[np.ndarray, " c"]:
    """Log of each component's mass, between what it was and what its draws say."""
    own = np.log(np.maximum(np.mean(mass, axis=0), 1e-300)) + np.max(log_w)
    new = effective / (effective + ENOUGH)
    return new * own + (1 - new) * cover.log_mass


def _masses(
    cover: Cover, u: Float[np.ndarray, "n d"], log_w: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, " c"]]:
    """Each draw's weight, in units of the largest, by components; effective draws of each."""
    share = np.exp(cover.log_each(u))
    share /= np.sum(share, axis=1, keepdims=True)
    mass = share * np.exp(log_w - np.max(log_w))[:, None]
    total, square = np.sum(mass, axis=0), np.sum(mass**2, axis=0)
    return mass, np.divide(total**2, square, out=np.zeros_like(total), where=square > 0)
