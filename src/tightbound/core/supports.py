"""Where values lie: each support has a name, says what it expects, and looks at values."""

from collections.abc import Callable

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


BINARY = Support("binary", "0 or 1", lambda x: (x == 0) | (x == 1), discrete=True)
UNIT = Support("unit", "a number in [0, 1]", lambda x: (x >= 0) & (x <= 1))
POSITIVE = Support("positive", "a positive number", lambda x: x > 0)
REAL = Support("real", "a finite number", np.isfinite)
COLUMNWISE = {str(support): support for support in (BINARY, UNIT, POSITIVE, REAL)}
"""Those that look at one number at a time, by name."""
SIMPLEX = "simplex"
"""Of latents alone: what lies in it is said by all numbers of a draw together."""
