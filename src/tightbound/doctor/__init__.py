"""Checks an installation against known answers: does what is installed here compute rightly?"""

from collections.abc import Callable, Sequence

from tightbound.doctor.check import Check as Check
from tightbound.doctor.compiler import products_of_rank_7 as products_of_rank_7
from tightbound.doctor.compiler import sums_of_squares as sums_of_squares
from tightbound.doctor.compiler import triangular_systems as triangular_systems
from tightbound.doctor.compiler import versions as versions
from tightbound.doctor.numbers import annealing as annealing
from tightbound.doctor.numbers import importance_sampling as importance_sampling
from tightbound.doctor.numbers import precision as precision
from tightbound.doctor.numbers import safetensors as safetensors


def examine(seconds: float = 120.0) -> list[Check]:
    """All checks; one that raises is one that failed.

    Args:
        seconds: Limit of each of those that may hang, which run in processes of their own.
    """
    checks: dict[str, Callable[[], Check]] = {
        "versions": versions,
        "compiled sums of squares": sums_of_squares,
        "products of rank 7": lambda: products_of_rank_7(seconds),
        "triangular systems": lambda: triangular_systems(seconds),
        "precision": precision,
        "importance sampling": importance_sampling,
        "annealing": annealing,
        "safetensors": safetensors,
    }
    return [_answer(name, check) for name, check in checks.items()]


def summary(checks: Sequence[Check]) -> str:
    """One line for each check, what to do below it, and how many failed."""
    lines = []
    for check in checks:
        lines.append(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.found}")
        if check.advice:
            lines.append(f"     {check.advice}")
    failed = sum(not check.ok for check in checks)
    lines.append("all well" if not failed else f"{failed} of {len(checks)} checks failed")
    return "\n".join(lines)


def _answer(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:  # whatever it is, it is what was found
        return Check(name, ok=False, found=f"{type(error).__name__}: {error}", advice="")
