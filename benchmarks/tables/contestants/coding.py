"""Levels as columns of zeros and ones, numbers standardised, and the way back."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from benchmarks.tables.holes import Holed


@dataclass(frozen=True)
class Coded:
    """A table as numbers of about one size, for methods that know no levels."""

    z: Float[np.ndarray, "n w"]
    """NaN in holes."""
    place: Int[np.ndarray, " w"]
    """The table's column behind each of the columns here."""
    shift: Float[np.ndarray, " w"]
    scale: Float[np.ndarray, " w"]
    levels: tuple[int, ...]

    @classmethod
    def of(cls, table: Holed) -> "Coded":
        """By the known cells."""
        parts, place = [], []
        for j, count in enumerate(table.levels):
            column = table.x[:, [j]]
            one_hot = np.where(np.isnan(column), np.nan, column == np.arange(count))
            parts.append(one_hot if count else column)
            place += [j] * (count or 1)
        z = np.concatenate(parts, axis=1)
        shift, scale = np.nanmean(z, axis=0), np.nanstd(z, axis=0)
        scale = np.where(scale > 0, scale, 1)
        return cls((z - shift) / scale, np.array(place), shift, scale, table.levels)

    def decoded(self, z: Float[np.ndarray, "*m n w"]) -> Float[np.ndarray, "*m n d"]:
        """A table again: of levels the one with most."""
        x = z * self.scale + self.shift
        parts = []
        for j, count in enumerate(self.levels):
            part = x[..., self.place == j]
            parts.append(np.argmax(part, axis=-1) if count else part[..., 0])
        return np.stack(parts, axis=-1).astype(np.float64)
