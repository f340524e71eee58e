"""How often does the verdict err? Problems whose evidence is known, and many keys for each.

None of them was used to choose the rule's numbers. A verdict errs where it says "trust" and the
estimate is more than 0.1 nats off; it misses where it does not, though the estimate is right.
Each problem is one datum, repeated: every repetition has draws of its own and is judged as if it
were alone; and again in sets of 50, by their mean. Weights of importance sampling are made at
once, for speed; their law is that of `tb.evaluate`'s.

python examples/verdict_errors.py
"""

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm, t
from scipy import optimize, special

import tightbound as tb
from tightbound.distributions import StandardNormal
from tightbound.evidence.annealing.hmc_density import MOST_DIMENSIONS
from tightbound.evidence.estimate import TAIL, of_log_weights, weighed
from tightbound.evidence.terms import BACKWARDS, CHAINS, DRAWS, POSTERIOR
from tightbound.evidence.verdict import BIAS, WORDS, Weighed, at_least, judge, judge_alone

WAYS = {"AIS": CHAINS, "reverse AIS": BACKWARDS, "HMC": POSTERIOR}
"""What is asked of chains."""
SET = 50
"""Data to the verdict on a set."""


class Problem(NamedTuple):
    """A density of z with its integral, and a normal proposal."""

    family: str
    name: str
    log_density: Callable[[Any], Any]
    log_z: float
    centre: np.ndarray
    factor: np.ndarray
    """Of its covariance, lower triangular."""
    exact: Callable[[np.random.Generator, int], np.ndarray]
    """n exact draws, of shape (n, d), for annealing backwards."""


def normal(
    family: str, name: str, f: Any, log_z: float, centre: Any, sd: Any, exact: Any
) -> Problem:
    """A problem whose proposal has independent dimensions."""
    centre = np.atleast_1d(np.asarray(centre, np.float32))
    return Problem(family, name, f, log_z, centre, np.diag(sd * np.ones(len(centre))), exact)


def from_funnel(d: int) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Draws of Neal's funnel with a neck of 1."""

    def exact(rng: np.random.Generator, n: int) -> np.ndarray:
        z = rng.standard_normal((n, d))
        z[:, 1:] *= np.exp(z[:, :1] / 2)
        return z

    return exact


def from_two(d: int, apart: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Draws of two normals with shares 0.7 and 0.3."""

    def exact(rng: np.random.Generator, n: int) -> np.ndarray:
        z = rng.standard_normal((n, d))
        z[:, 0] += apart * (rng.random(n) < 0.3)
        return z

    return exact


def from_grid(points: np.ndarray, log_density: np.ndarray, step: float) -> Any:
    """Draws of a density that is about constant over each cell of a grid."""
    share = np.exp(log_density - special.logsumexp(log_density))

    def exact(rng: np.random.Generator, n: int) -> np.ndarray:
        z = points[rng.choice(len(points), n, p=share)]
        return z + step * rng.uniform(-0.5, 0.5, z.shape)

    return exact


def problems() -> Iterator[Problem]:
    """All of them, family by family."""
    for d in (2, 8, 16):
        for factor, shift in ((0.7, 0.0), (0.9, 0.3), (1.4, 0.0)):
            yield normal(
                "linear-Gaussian",
                f"{d} dimensions, q {factor} as wide, {shift} off",
                lambda z: jnp.sum(norm.logpdf(z)),
                0.0,
                np.full(d, shift),
                factor,
                lambda rng, n, d=d: rng.standard_normal((n, d)),
            )
    yield from pixels()
    for d, width in ((2, 1.0), (2, 2.0), (4, 1.5)):
        yield normal(
            "funnel",
            f"{d} dimensions, neck 1, q {width} wide",
            lambda z: norm.logpdf(z[0]) + jnp.sum(norm.logpdf(z[1:], 0, jnp.exp(z[0] / 2))),
            0.0,
            np.zeros(d),
            width,
            from_funnel(d),
        )
    for d, apart, width in ((1, 2.0, 1.5), (2, 3.0, 2.0), (2, 3.0, 1.2), (5, 2.0, 1.6)):
        yield normal(
            "two normals",
            f"{d} dimensions, {apart} apart, q {width} wide",
            lambda z, apart=apart: jnp.logaddexp(
                jnp.sum(norm.logpdf(z)) + np.log(0.7),
                norm.logpdf(z[0], apart) + jnp.sum(norm.logpdf(z[1:])) + np.log(0.3),
            ),
            0.0,
            np.zeros(d),
            width,
            from_two(d, apart),
        )
    for d, dof, width in ((1, 3, 1.3), (1, 5, 1.2), (2, 10, 1.1), (4, 5, 1.3)):
        yield normal(
            "Student-t",
            f"{d} dimensions, {dof} degrees of freedom, q {width} wide",
            lambda z, dof=dof: jnp.sum(t.logpdf(z, dof)),
            0.0,
            np.zeros(d),
            width,
            lambda rng, n, d=d, dof=dof: rng.standard_t(dof, (n, d)),
        )
    yield from regressions()


def pixels() -> Iterator[Problem]:
    """784 binary pixels over one unit, and a proposal that is not the posterior."""
    rng = np.random.default_rng(3)
    weight, bias = 0.12 * rng.standard_normal(784), 0.3 * rng.standard_normal(784)
    grid = np.linspace(-8, 8, 40_001)
    for centre in (0.3, 0.7):
        x = rng.random(784) < special.expit(0.3 * weight + bias)
        sums = x @ weight, x @ bias

        def log_density(z: Any, sums: Any = sums) -> Any:
            logits = z[0] * jnp.asarray(weight, z.dtype) + jnp.asarray(bias, z.dtype)
            return norm.logpdf(z[0]) + z[0] * sums[0] + sums[1] - jnp.sum(jax.nn.softplus(logits))

        at = -np.logaddexp(0, grid[:, None] * weight + bias).sum(axis=1)
        at += grid * sums[0] + sums[1] - grid**2 / 2 - np.log(2 * np.pi) / 2
        log_z = special.logsumexp(at) + np.log(grid[1] - grid[0])
        exact = from_grid(grid[:, None], at, grid[1] - grid[0])
        sd = np.exp(-0.5)
        yield normal("pixels", f"q at {centre}", log_density, log_z, centre, sd, exact)


def regressions() -> Iterator[Problem]:
    """Logistic regression with two coefficients: mode and curvature, and the integral on a grid."""
    for n, seed in ((8, 0), (20, 1), (100, 2)):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((n, 2))
        y = 2.0 * (rng.random(n) < special.expit(x @ [1.0, -1.5])) - 1

        def value(z: Any, np: Any = np, x: Any = x, y: Any = y) -> Any:
            fit = -np.sum(np.logaddexp(0, -y * (z @ x.T)), axis=-1)
            return fit - np.sum(z**2, axis=-1) / 8 - np.log(2 * np.pi * 4)

        found = optimize.minimize(lambda z, f=value: -f(z), np.zeros(2), tol=1e-10)
        p = special.expit(x @ found.x)
        curvature = (x.T * (p * (1 - p))) @ x + np.eye(2) / 4
        axis = np.linspace(-14, 14, 1401)
        whole = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        at = np.concatenate([value(z) for z in np.split(whole, 1401)])
        log_z = special.logsumexp(at)
        log_z += 2 * np.log(axis[1] - axis[0])
        factor = np.linalg.cholesky(np.linalg.inv(curvature))
        name = f"{n} data, q by mode and curvature"
        of_z = lambda z, f=value, x=x, y=y: f(  # noqa: E731
            z, jnp, jnp.asarray(x, z.dtype), jnp.asarray(y, z.dtype)
        )
        exact = from_grid(whole, at, axis[1] - axis[0])
        yield Problem("logistic regression", name, of_z, log_z, found.x, factor, exact)


class Row(NamedTuple):
    """Verdicts on one problem by one estimator, over keys."""

    words: np.ndarray
    error: np.ndarray
    """Estimate less log Z, in nats."""
    stderr: np.ndarray
    at_least: np.ndarray
    sets: list[str]
    set_error: list[float]


def row(problem: Problem, how: str, number: int, keys: int) -> Row:
    """The verdicts on `keys` repetitions; `how` is one of `WAYS` or "importance"."""
    if how == "importance":
        log_z, known = by_draws(problem, number, keys)
    else:
        log_z, known = by_chains(problem, how, number, keys)
    terms = WAYS.get(how, DRAWS)
    error = log_z - problem.log_z
    sets = [slice(first, first + SET) for first in range(0, keys - SET + 1, SET)]

    def part(rows: slice) -> Weighed:
        return Weighed(*(of if np.ndim(of) == 0 else np.asarray(of)[rows] for of in known))

    return Row(
        np.array(judge_alone(known, terms)),
        error,
        known.stderr,
        at_least(known, terms),
        [judge(part(rows), terms).word for rows in sets],
        [float(np.mean(error[rows])) for rows in sets],
    )


def by_draws(problem: Problem, k: int, keys: int) -> tuple[np.ndarray, Weighed]:
    """The estimates of `tb.evaluate`, from weights that are made at once."""
    _, log_q, draw = proposal(problem)

    @jax.jit
    def weights(key: Any) -> Any:
        z = jax.vmap(draw)(jax.random.split(key, k))
        return jax.vmap(problem.log_density)(z) - jax.vmap(log_q)(z)

    weigh, each = jax.jit(of_log_weights), max(1, min(keys, 2_000_000 // k))
    roots = jax.random.split(jax.random.key(k), keys)
    parts = [
        weigh(jax.lax.map(weights, roots[first : first + each])) for first in range(0, keys, each)
    ]
    log_z, stderr, *tail = (
        np.concatenate([np.asarray(get(part), np.float64) for part in parts])
        for get in (
            lambda part: part.log_z,
            lambda part: part.stderr,
            *(lambda part, name=name: part.tail[name] for name in TAIL),
        )
    )
    return log_z, Weighed(k, stderr, *tail, np.zeros(keys))


def by_chains(problem: Problem, how: str, number: int, keys: int) -> tuple[np.ndarray, Weighed]:
    """The estimates by annealing from the proposal, back to it, or by HMC.

    Args:
        problem: A density.
        how: One of `WAYS`.
        number: Chains of annealing, or transitions of HMC.
        keys: Repetitions.
    """
    dim, log_q, draw = proposal(problem)
    q = tb.distributions.from_functions(
        log_prob=lambda z, x: log_q(z) + 0 * x[0], sample=lambda x, key: draw(key) + 0 * x[0]
    )
    model = tb.models.from_log_joint(
        lambda x, z: problem.log_density(z) + 0 * x[0], 1, prior=StandardNormal(dim)
    )
    x = np.zeros((keys, 1), np.float32)
    how_to: dict[str, Any] = {"start": q, "temperatures": 30, "chains": number, "leapfrog": 5}
    if how == "AIS":
        found = tb.evidence.annealed(model, x, **how_to, progress=False)
    elif how == "reverse AIS":
        z = problem.exact(np.random.default_rng(number), keys).astype(np.float32)
        found = tb.evidence.reverse_annealed(model, x, z, **how_to, progress=False)
    else:
        found = tb.evidence.hmc_density(model, x, transitions=number, progress=False)
    return found.log_evidence.astype(np.float64), weighed(
        found.draws, found.stderr, found.diagnostics, found.rounding
    )


def proposal(problem: Problem) -> tuple[int, Callable[[Any], Any], Callable[[Any], Any]]:
    """Dimensions, log-density and draws of the problem's normal."""
    dim = len(problem.centre)
    centre, factor = (jnp.asarray(a, jnp.float32) for a in (problem.centre, problem.factor))
    inverse = jnp.asarray(np.linalg.inv(problem.factor), jnp.float32)
    log_volume = float(np.sum(np.log(np.diag(problem.factor))))
    return (
        dim,
        lambda z: jnp.sum(norm.logpdf(inverse @ (z - centre))) - log_volume,
        lambda key: centre + factor @ jax.random.normal(key, (dim,)),
    )


def line(name: str, rows: list[Row]) -> str:
    """A line of the table, over all problems of a family."""
    word, error, stderr, at_least = (np.concatenate(of) for of in list(zip(*rows, strict=True))[:4])
    trusted, wrong = word == WORDS[0], ~(np.abs(error) <= BIAS)
    right = np.abs(error) <= BIAS / 2
    same = np.mean([max(np.mean(row.words == word) for word in WORDS) for row in rows])
    covered = np.abs(error) <= 1.96 * stderr
    sets = np.concatenate([row.sets for row in rows]) == WORDS[0]
    sets_wrong = ~(np.abs(np.concatenate([row.set_error for row in rows])) <= BIAS)
    return (
        f"| {name} | {np.mean(trusted):.2f} | {np.mean(trusted & wrong):.4f} | "
        f"{share(wrong, trusted)} | {share(~trusted, right)} | {same:.2f} | "
        f"{share(covered, ~at_least)} | {share(covered, at_least)} | {np.mean(at_least):.2f} | "
        f"{np.sum(sets)} of {len(sets)}, {np.sum(sets & sets_wrong)} |"
    )


def counts(name: str, rows: list[Row]) -> str:
    """A line of the table of counts, over all problems."""
    word, error = (np.concatenate(of) for of in list(zip(*rows, strict=True))[:2])
    trusted = word == WORDS[0]
    wrong = trusted & ~(np.abs(error) <= BIAS)
    sets = np.concatenate([row.sets for row in rows]) == WORDS[0]
    off = ~(np.abs(np.concatenate([row.set_error for row in rows])) <= BIAS)
    return (
        f"| {name} | {len(word)} | {np.sum(trusted)} | {np.sum(wrong)} | {len(sets)} | "
        f"{np.sum(sets)} | {np.sum(sets & off)} |"
    )


def share(of: np.ndarray, among: np.ndarray) -> str:
    """How often, where there is something."""
    return f"{np.mean(of[among]):.3f}" if np.any(among) else "–"


HEAD = (
    "| family | P(trust) | P(trusted and wrong) | P(wrong, if trusted) | P(not trusted, if right) "
    "| same word | covered | covered, at least | at least | sets trusted, wrong |\n" + "|---" * 10
) + "|"
COUNTS = (
    "| all families | estimates | trusted | of them wrong | sets | trusted | of them wrong |\n"
    + "|---" * 7
) + "|"


def main(arguments: list[str] | None = None) -> None:
    """Judges all problems and prints a line for each family and number of draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, nargs="*", default=[64, 500, 5000, 50_000])
    parser.add_argument("--chains", type=int, nargs="*", default=[8, 16, 64])
    parser.add_argument("--transitions", type=int, nargs="*", default=[4, 25], help="of HMC")
    parser.add_argument("--keys", type=int, default=200, help="repetitions of each problem")
    parser.add_argument("--families", nargs="*", help="by default all")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    chosen = [p for p in problems() if not options.families or p.family in options.families]
    families = list(dict.fromkeys(problem.family for problem in chosen))
    ways = [("importance", k) for k in options.draws]
    ways += [(how, c) for how in ("AIS", "reverse AIS") for c in options.chains]
    ways += [("HMC", t) for t in options.transitions]
    print(HEAD)
    of_way: dict[str, list[Row]] = {}
    for family in families:
        for how, number in ways:
            of_family = [p for p in chosen if p.family == family]
            # Chains are dear: the first and the last of each family stand for them.
            dear = how in WAYS
            asked = of_family[:: max(1, len(of_family) - 1)] if dear else of_family
            # HMC's density is for few dimensions.
            asked = [p for p in asked if how != "HMC" or len(p.centre) <= MOST_DIMENSIONS]
            rows = [row(p, how, number, options.keys) for p in asked]
            print(line(f"{family}, {how} {number}", rows), flush=True)
            of_way.setdefault(f"{how} {number}", []).extend(rows)
    print(f"\n{COUNTS}")
    for name, rows in of_way.items():
        print(counts(name, rows))
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
