"""Importance sampling with half of the draws; for a test that adds an estimator of evidence."""

from tightbound.evidence.estimator import estimator
from tightbound.evidence.evaluate import evaluate


def halved(model, posterior, x=None, *, k=100, key=0, binarize="auto", batch_size=None):
    """Log p(x) of each datum from k / 2 draws of q(z|x)."""
    return evaluate(
        model, posterior, x, k=k // 2, key=key, binarize=binarize, batch_size=batch_size
    )


Halved = estimator("Halved", halved, posterior="posterior")
