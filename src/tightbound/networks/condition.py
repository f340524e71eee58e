"""Networks that read the condition c of p(x|z, c) and q(z|x, c) beside what else they are given.

Sohn, Lee & Yan 2015, NeurIPS (conditional variational autoencoders).
"""

from collections.abc import Callable

from jaxtyping import Array, Float

from tightbound.core.errors import UsageError
from tightbound.core.items import Datum, Given, One, condition
from tightbound.networks.dense import joined
from tightbound.networks.holes import AbstractReader, read


class WithCondition(AbstractReader):
    """A network of a datum's values, or of a z, and of the condition behind them, as one vector.

    It takes as many numbers as both have together: `WithCondition(MLP.glorot(d + c, (200,),
    key=key))`. (The network of a prior p(z|c) is given c alone, as it is.)
    """

    network: Callable[[Float[Array, " n_in"]], Float[Array, " n_out"]]

    def __call__(self, given: One) -> Float[Array, " n_out"]:
        """The output for one datum or one z.

        Raises:
            UsageError: There is no condition.
        """
        beside = condition(given)
        if beside is None or not isinstance(given, Datum | Given):
            raise UsageError(
                "a network reads a condition, and there is none: expected "
                "Model(prior, likelihood, condition=c) with the number c of its columns, and "
                "tb.source(model, x, conditions=...) as data"
            )
        bare = Datum(given.x, given.observed) if isinstance(given, Datum) else given.z
        return read(self.network, joined(bare, beside))
