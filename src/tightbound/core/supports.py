"""Where values lie: each support has a name, says what it expects, and looks at values."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np


class Support(str):
    """A set of numbers: its public name, which it is as text, what is expected, and a look.

    A likelihood of one's own with values of another kind brings its own:
    `Support("counts", "a whole number >= 0", lambda x: (x >= 0) & (x % 1 == 0), discrete=True)`.

    Attributes:
        expected: One value of it in words, for errors.
        discrete: Whether likelihoods on it are probabilities of values, and no densities.
    """

    __slots__ = ("_look", "discrete", "expected")

    expected: str
    discrete: bool
    _look: Callable[[np.ndarray], np.ndarray]

    def __new__(
        cls,
        name: str,
        expected: str,
        look: Callable[[np.ndarray], np.ndarray],
        *,
        discrete: bool = False,
    ) -> "Support":
        """The support of that name; `look` says of finite values which of them lie in it."""
        self = super().__new__(cls, name)
        self.expected = expected
        self.discrete = discrete
        self._look = look
        return self

    def inside(self, x: np.ndarray) -> np.ndarray:
        """Which of the values lie in it: none that is not finite."""
        finite = np.isfinite(x)
        return finite & self._look(np.where(finite, x, 1))

    def at(self, column: int) -> "Support":
        """Where the values of one column lie: the same for all, unless it says otherwise."""
        del column
        return self


class TableSupport(Support):
    """Where the rows of a table lie: each column in a support of its own.

    Attributes:
        supports: That of each column.
        names: The columns' names, for errors; empty where they have none.
    """

    __slots__ = ("names", "supports")

    supports: tuple[Support, ...]
    names: tuple[str, ...]

    def __new__(cls, supports: Sequence[Support], names: Sequence[str] = ()) -> "TableSupport":
        """The support of rows whose entries lie in these; its name lists them, or is their one."""
        runs = [(str(name), len(list(run))) for name, run in groupby(supports)]
        each = [name if n == 1 else f"{n} columns {name}" for name, n in runs]
        name = runs[0][0] if len(runs) == 1 else ", ".join(each)
        kinds = dict(zip(map(str, supports), supports, strict=True))
        places = {
            kind: np.array([i for i, one in enumerate(supports) if one == kind]) for kind in kinds
        }

        def look(x: np.ndarray) -> np.ndarray:
            found = np.ones(x.shape, bool)
            for kind, where in places.items():
                found[..., where] = kinds[kind].inside(x[..., where])
            return found

        discrete = all(support.discrete for support in supports)
        self: Any = super().__new__(cls, name, "a row of values", look, discrete=discrete)
        self.supports, self.names = tuple(supports), tuple(names)
        return self

    def at(self, column: int) -> Support:
        """Where the values of one column lie."""
        return self.supports[column]


BINARY = Support("binary", "0 or 1", lambda x: (x == 0) | (x == 1), discrete=True)
UNIT = Support("unit", "a number in [0, 1]", lambda x: (x >= 0) & (x <= 1))
POSITIVE = Support("positive", "a positive number", lambda x: x > 0)
REAL = Support("real", "a finite number", np.isfinite)
COUNT = Support(
    "count", "a whole number from 0", lambda x: (x >= 0) & (x == np.floor(x)), discrete=True
)
COLUMNWISE = {str(support): support for support in (BINARY, UNIT, POSITIVE, REAL, COUNT)}
"""Those that look at one number at a time, by name."""


@cache
def levels(n: int) -> Support:
    """The numbers of n levels."""
    words = f"a whole number from 0 to {n - 1}, the number of one of {n} levels"
    look = lambda x: (x >= 0) & (x < n) & (x == np.floor(x))  # noqa: E731
    return Support(f"{n} levels", words, look, discrete=True)


@cache
def interval(low: float, high: float, beyond: float = 0.0) -> Support:
    """Numbers from low to high, and those that are rounded to an end from no further `beyond`."""
    words = f"a number from {low:g}" + (f" to {high:g}" if high < np.inf else " on")
    look = lambda x: (x >= low - beyond) & (x <= high + beyond)  # noqa: E731
    return Support(f"from {low!r} to {high!r} by {beyond!r}", words, look)


@cache
def lattice(step: float, low: float | None, high: float | None) -> Support:
    """Multiples of a step, counted from `low` or 0, between ends if there are any."""
    start = 0.0 if low is None else low
    ends = "" if low is None or high is None else f" from {low:g} to {high:g}"
    words = f"a multiple of {step:g}{ends}" if start == 0 else f"{start:g} and so many steps"
    words = words if start == 0 else f"{words} of {step:g}{ends}"

    def look(x: np.ndarray) -> np.ndarray:
        number = (np.asarray(x, np.float64) - start) / step
        # Decimals such as 0.1 are no sum of powers of two: a float32 is next to the multiple.
        slack = 1e-3 + 2.0**-22 * np.abs(number)
        on = np.abs(number - np.round(number)) <= slack
        last = np.inf if high is None else (high - start) / step
        first = -np.inf if low is None else 0.0
        return on & (number >= first - slack) & (number <= last + slack)

    return Support(f"steps of {step!r} from {low!r} to {high!r}", words, look, discrete=True)


SIMPLEX = "simplex"
"""Of latents alone: what lies in it is said by all numbers of a draw together."""
