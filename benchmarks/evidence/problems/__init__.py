"""All problems, by family. About a third is held back: defaults are never tuned on those.

A default that is chosen by looking at a problem is no longer measured by it. Whoever changes what
tightbound does without settings looks at `TUNED` alone, and runs `HELD` once, at the end.
"""

from benchmarks.evidence.problem import Problem
from benchmarks.evidence.problems import (
    boxes,
    conjugate,
    densities,
    latent,
    regressions,
    schools,
    series,
)

FAMILIES = (boxes, densities, schools, conjugate, regressions, series, latent)
PROBLEMS: dict[str, Problem] = {
    problem.name: problem for family in FAMILIES for problem in family.PROBLEMS
}
TUNED = [name for name, problem in PROBLEMS.items() if not problem.held]
HELD = [name for name, problem in PROBLEMS.items() if problem.held]
