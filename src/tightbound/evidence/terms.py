"""What estimators call their draws, and how much of these a verdict asks of each.

Weights of annealed chains are sums of many small terms, about normal in the log: of fewer than
`MANY` no tail is fitted, and Student's t stands for it. In reverse the chains start from draws of
p(z|x), where the regions that would make 1 / p-hat larger are rare: there more is asked.
"""

from typing import NamedTuple

FEWEST = 50
"""Fewer draws show too little of a tail to judge by."""
MANY = 100
"""Draws from which on an error may be more than a lower bound; chains whose tail is fitted."""
CASES = 0.99
"""Cases in which an estimate is to be within its error."""
CHAIN_CASES = 0.9999
"""The same of few chains: their spread is not known well either."""
LEAST_BACKWARDS = 16
"""Fewer chains in reverse are not judged."""
AT_REST = 0.5
"""Most of the variance that may lie between the means of chains which are to have arrived."""


class Terms(NamedTuple):
    """What an estimator's draws are called, and what to do where they do not suffice."""

    unit: str
    instead: str
    chains: bool = False
    """Whether weights are of whole chains."""
    one_sided: bool = False
    """Whether the error is only a lower bound, whatever the weights say."""
    least: int = 0
    """Draws below which nothing is trusted."""

    def too_few(self, k: int) -> bool:
        """Whether nothing can be said of the tail of k weights."""
        return k < (MANY if self.chains else FEWEST)

    def cases(self, k: int) -> float:
        """The interval of k weights whose ends count."""
        return CHAIN_CASES if self.one_sided or self.too_few(k) else CASES


DRAWS = Terms(
    "draws",
    "anneal (tb.evidence.AIS), fit another q(z|x), or leave the way to tb.evaluate",
    least=FEWEST,
)
ADAPTED = Terms(
    "draws", "more rounds, a wider start, more components, or tb.evidence.AIS", least=FEWEST
)
CHAINS = Terms(
    "chains", "more temperatures (weights then vary less), or another start", chains=True
)
BACKWARDS = CHAINS._replace(one_sided=True, least=LEAST_BACKWARDS)
POSTERIOR = Terms(
    "chains",
    "more transitions, tb.evidence.AIS and, on data of the model, tb.sandwich",
    chains=True,
)
