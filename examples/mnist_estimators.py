"""Estimators of the evidence side by side: nats and seconds per image, on a VAE and an IWAE.

Both models have the network of Burda et al. (784-200-200-50, tanh), their split and dynamic
binarisation; Muon with cosine decay. The same binary test images then go to the ELBO, the IWAE
bound, the jackknife and annealed importance sampling, and images that each model draws itself to
bidirectional Monte Carlo. Last comes the difference of both models as each estimator sees it: the
one whose posterior fits worse suffers more from few draws.

Seconds are processor time of this process, all threads together, by the number of images. Every
estimator is compiled before, by a call on its first batch alone; only annealing along more than 500
temperatures is not, whose time holds some seconds of compiling. Pilot chains are in the time of
annealing. Fitted models and finished measurements are kept and not repeated.

python examples/mnist_estimators.py --folder estimators --out pictures
"""

import argparse
import json
import math
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

import tightbound as tb
from tightbound.evidence import Estimate, annealed, compare, jackknife
from tightbound.objectives.registry import parse
from tightbound.training.optimizers import muon, schedule_by_name

MODELS = {"VAE": "iwae(1, 'dreg')", "IWAE": "iwae(50, 'dreg@8')"}
BATCH = 100
RATE = 0.02
AT_ONCE = 25
"""Images that are annealed at once."""
PILOT = 8
"""Images of the pilot chains."""
LONG = 500
"""Annealing along more temperatures is not compiled before it is timed."""
SETTINGS = ("data", "split", "latent", "hidden", "chains", "leapfrog")

LABELS = {
    "ELBO": (5, 4),
    "IWAE": (4, 5),
    "JVI-1": (6, 2),
    "JVI-2": (-19, -10),
    "AIS from prior": (5, 4),
    "AIS from q": (5, 4),
}
"""The families, and where beside a point of theirs its number stands."""

Method = Callable[[tb.Run, np.ndarray], Any]


class Estimator(NamedTuple):
    """What is measured: a function of a run and images, on so many images."""

    name: str
    family: str
    images: int
    method: Method
    first: int = 0
    """Images of the call that compiles; 0 for none."""


def estimators(options: Any) -> list[Estimator]:
    """All that are compared, from cheap to dear within each family."""
    pairs, items = options.pairs, options.items
    few = options.draws[:-1]
    found = [Estimator(f"ELBO, k = {few[0]}", "ELBO", pairs, elbo(few[0]), pairs)]
    for k in options.draws:
        first = max(1, 2500 // min(k, 500))
        found.append(Estimator(f"IWAE-{k}", "IWAE", pairs, iwae(k, first), first))
    for order in (1, 2):
        for k in few:
            first = max(1, 2500 // k)
            found.append(
                Estimator(f"JVI-{order}, k = {k}", f"JVI-{order}", pairs, jvi(order, k), first)
            )
    for origin in ("prior", "q"):
        for t in options.temperatures:
            name, first = f"AIS from {origin}, {t}", 0 if t > LONG else AT_ONCE
            method = ais(t, options, from_q=origin == "q")
            found.append(Estimator(name, f"AIS from {origin}", items, method, first))
            if origin == "q" and t == options.pair_temperatures:
                found.append(Estimator(name, "pairs", pairs, method))
            if t in options.gap_temperatures:
                method = gap(t, options, from_q=origin == "q")
                found.append(Estimator(name, "gap", options.drawn, method))
    return found


def elbo(k: int) -> Method:
    """The mean of k log-weights."""

    @eqx.filter_jit
    def at_all(run: tuple[Any, Any], x: jax.Array) -> tuple[jax.Array, jax.Array]:
        model, posterior = run

        def log_w(x: jax.Array, key: jax.Array) -> jax.Array:
            z, log_q = posterior.sample_and_log_prob(x, key=key)
            return model.log_joint(x, z) - log_q

        def one(given: Any) -> tuple[jax.Array, jax.Array]:
            x, row = given
            keys = jax.random.split(jax.random.fold_in(jax.random.key(0), row), k)
            values = jax.vmap(lambda key: log_w(x, key))(keys)
            return jnp.mean(values), jnp.std(values, ddof=1) / math.sqrt(k)

        return jax.lax.map(one, (x, jnp.arange(len(x))), batch_size=50)

    def method(run: tb.Run, x: np.ndarray) -> Any:
        mean, stderr = at_all((run.model, run.posterior), jnp.asarray(x))
        return np.asarray(mean), np.asarray(stderr), "lower"

    return method


def iwae(k: int, batch: int) -> Method:
    """`tb.evaluate`: the log of the mean of k weights."""

    def method(run: tb.Run, x: np.ndarray) -> Any:
        ev = tb.evaluate(
            run.model, run.posterior, x, k=k, batch_size=batch, binarize="none", progress=False
        )
        return ev.log_evidence, ev.stderr, "lower"

    return method


def jvi(order: int, k: int) -> Method:
    """The jackknife on k draws."""
    return lambda run, x: of(
        jackknife(run.model, run.posterior, x, k=k, order=order, binarize="none", progress=False)
    )


def ais(temperatures: int, options: Any, *, from_q: bool) -> Method:
    """Annealing from the prior or from q."""
    return lambda run, x: of(
        annealed(
            run.model,
            x,
            start=run.posterior if from_q else None,
            temperatures=temperatures,
            chains=options.chains,
            leapfrog=options.leapfrog,
            pilot=PILOT,
            batch_size=AT_ONCE,
            binarize="none",
            progress=False,
        )
    )


def gap(temperatures: int, options: Any, *, from_q: bool) -> Method:
    """Upper less lower bound on images that the model draws; those given count only."""

    def method(run: tb.Run, x: np.ndarray) -> Any:
        both = tb.sandwich(
            run.model,
            run.posterior if from_q else None,
            n=len(x),
            temperatures=temperatures,
            chains=options.chains,
            leapfrog=options.leapfrog,
            pilot=PILOT,
            progress=False,
        )
        return (
            both.upper.log_evidence - both.lower.log_evidence,
            np.hypot(both.upper.stderr, both.lower.stderr),
            "gap",
        )

    return method


def of(estimate: Estimate) -> tuple[np.ndarray, np.ndarray, str]:
    """What is kept of an estimate."""
    return estimate.log_evidence, estimate.stderr, estimate.direction


def fitted(path: Path, call: str, epochs: int, train: np.ndarray, options: Any) -> tb.Run:
    """The run kept in that file, or a new one that is then kept there."""
    if path.exists():
        run = tb.load(path)
        if run.epochs_run != epochs:
            raise tb.UsageError(
                f"{path} holds a run of {run.epochs_run} epochs, expected {epochs}: "
                "choose another --folder"
            )
        return run
    model, posterior = tb.autoencoder(
        train, latent=options.latent, hidden=(options.hidden,) * 2, key=0
    )
    steps = len(train) // BATCH
    began = time.process_time()
    run = tb.fit(
        model,
        posterior,
        train,
        objective=parse(call),
        optimizer=muon(schedule_by_name("cosine", RATE, steps_per_epoch=steps, epochs=epochs)),
        batch_size=BATCH,
        epochs=epochs,
        key=0,
        binarize="dynamic",
    )
    print(f"{call}, {epochs} epochs: {time.process_time() - began:.0f} processor seconds")
    path.parent.mkdir(parents=True, exist_ok=True)
    tb.save(path, run)
    return run


def measured(estimator: Estimator, run: tb.Run, x: np.ndarray) -> dict[str, Any]:
    """One estimator on one model."""
    if estimator.first:
        estimator.method(run, x[: min(estimator.first, estimator.images)])
    began = time.process_time()
    values, stderr, direction = estimator.method(run, x[: estimator.images])
    spent = time.process_time() - began
    return {
        "estimator": estimator.name,
        "family": estimator.family,
        "direction": direction,
        "seconds_per_image": round(spent / estimator.images, 6),
        "values": [round(float(value), 4) for value in values],
        "stderr": [round(float(value), 4) for value in stderr],
    }


class Row(NamedTuple):
    """A line of the table, about the first images that all estimators have seen."""

    name: str
    family: str
    mean: float
    stderr_draws: float
    below: np.ndarray
    """The best annealing's value less this one, per image."""
    seconds: float
    gap: str


def rows_of(model: str, records: list[dict[str, Any]], items: int) -> list[Row]:
    """The table's lines for one model, from cheap to dear."""
    own = [record for record in records if record["model"] == model]
    gaps = {
        record["estimator"]: plus_minus(np.array(record["values"]))
        for record in own
        if record["family"] == "gap"
    }
    listed = [record for record in own if record["family"] not in ("gap", "pairs")]
    values = [np.array(record["values"][:items]) for record in listed]
    best = max(
        (v for v, record in zip(values, listed, strict=True) if record["family"][:3] == "AIS"),
        key=np.mean,
    )
    rows = [
        Row(
            record["estimator"],
            record["family"],
            float(np.mean(v)),
            float(np.linalg.norm(record["stderr"][:items])) / items,
            best - v,
            record["seconds_per_image"],
            gaps.get(record["estimator"], ""),
        )
        for v, record in zip(values, listed, strict=True)
    ]
    return sorted(rows, key=lambda row: row.seconds)


def plus_minus(values: np.ndarray) -> str:
    """Mean and its standard error over the images."""
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    return f"{shown(np.mean(values), '.2f')} ± {error:.2f}"


def shown(value: Any, digits: str = ".2g") -> str:
    """A number with a minus sign and without an exponent."""
    text = f"{value:{digits}}"
    return (f"{float(text):,.0f}" if "e" in text else text).replace("-", "−")


def table(rows: list[Row]) -> str:
    """Nats and seconds, and what each further second brings where it brings something.

    Only bounds from below, ELBO, IWAE and AIS, can be the best for their time: of them the highest
    is the nearest. The jackknife is no bound.
    """
    lines = [
        "| estimator | nats | ± draws | below best AIS | ms per image | over the ELBO "
        "| nats per s | per further s | BDMC gap |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    reference = next(row for row in rows if row.family == "ELBO").mean
    before: Row | None = None
    for row in rows:
        gain, further = row.mean - reference, ""
        if row.family[:3] != "JVI" and (before is None or row.mean > before.mean):
            if before is not None:
                further = shown((row.mean - before.mean) / (row.seconds - before.seconds))
            before = row
        below = "0" if not np.any(row.below) else plus_minus(row.below)
        lines.append(
            f"| {row.name} | {shown(row.mean, '.2f')} | {row.stderr_draws:.2f} | {below} | "
            f"{shown(1000 * row.seconds)} | {shown(gain, '+.2f')} | "
            f"{shown(gain / row.seconds)} | {further} | {row.gap} |"
        )
    return "\n".join(lines)


def comparison(records: list[dict[str, Any]]) -> str:
    """The first model less the second, by every estimator, on all images that it has seen."""
    first, second = MODELS
    lines = [
        f"| estimator | images | {first} less {second}, nats | 95 % interval | better |",
        "|---|---|---|---|---|",
    ]
    kept = {(record["model"], record["estimator"], record["family"]): record for record in records}
    for model, name, family in list(kept):
        if model != first or family == "gap":
            continue
        versus = compare(*(estimate(kept[which, name, family]) for which in MODELS))
        low, high = versus.interval
        word = first if low > 0 else second if high < 0 else "undecided"
        lines.append(
            f"| {name} | {len(versus.difference)} | {shown(versus.mean, '+.2f')} | "
            f"{shown(low, '+.2f')} to {shown(high, '+.2f')} | {word} |"
        )
    return "\n".join(lines)


def estimate(record: dict[str, Any]) -> Estimate:
    """A kept record as a result that can be compared."""
    values, stderr = (np.array(record[name]) for name in ("values", "stderr"))
    return Estimate(
        log_evidence=values,
        stderr=stderr,
        ess=np.full(len(values), np.nan),
        result=np.zeros(len(values), int),
        direction=record["direction"],
        method=record["estimator"],
        draws=0,
        binarisation="one draw for all estimators",
        diagnostics={},
        seconds=record["seconds_per_image"] * len(values),
    )


def drawing(rows: dict[str, list[Row]], path: Path) -> None:
    """How far each estimator is below the best annealing, against its time."""
    figure, axes = plt.subplots(
        1, len(rows), figsize=(10, 4.4), sharex=True, sharey=True, layout="constrained"
    )
    for axis, (model, own) in zip(axes, rows.items(), strict=True):
        for number, family in enumerate(LABELS):
            # From few draws or temperatures to many.
            members = sorted((row for row in own if row.family == family), key=size)
            seconds = [row.seconds for row in members]
            means = [float(np.mean(row.below)) for row in members]
            errors = [2 * np.std(row.below, ddof=1) / math.sqrt(len(row.below)) for row in members]
            style: dict[str, Any] = {"color": f"C{number}", "marker": "os^vDP"[number]}
            axis.errorbar(seconds, means, errors, label=family, markersize=5, linewidth=1, **style)
            for row, at, mean in zip(members, seconds, means, strict=True):
                axis.annotate(
                    f"{size(row)}",
                    (at, mean),
                    LABELS[family],
                    textcoords="offset points",
                    fontsize=8,
                    color=style["color"],
                )
        axis.margins(x=0.1)
        axis.axhline(0, color="grey", linewidth=0.5, zorder=0)
        best = max(row.mean for row in own if not np.any(row.below))
        axis.set_title(f"{model}: best AIS {shown(best, '.2f')} nats", fontsize=10)
        axis.set(xlabel="processor seconds per image", xscale="log")
    axes[0].set_yscale("symlog", linthresh=0.1, linscale=0.5)
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].set_ylabel("nats below the best AIS")
    below = [float(np.mean(row.below)) for own in rows.values() for row in own]
    axes[0].set_ylim(2 * min(*below, -0.1), 2 * max(*below, 0.1))
    axes[-1].legend(
        frameon=False,
        fontsize=8,
        title="numbers: draws or temperatures",
        title_fontsize=8,
        loc="lower left",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def size(row: Row) -> int:
    """Draws or temperatures."""
    return int(re.findall(r"\d+", row.name)[-1])


def parsed(arguments: list[str] | None) -> Any:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--split", default="iwae")
    parser.add_argument("--epochs", type=int, nargs=2, default=[24, 12], help="of VAE and IWAE")
    parser.add_argument("--latent", type=int, default=50)
    parser.add_argument("--hidden", type=int, default=200, help="width of both hidden layers")
    parser.add_argument("--items", type=int, default=50, help="test images of the table")
    parser.add_argument("--pairs", type=int, default=400, help="test images of the comparison")
    parser.add_argument("--drawn", type=int, default=20, help="images that each model draws")
    parser.add_argument("--draws", type=int, nargs="+", default=[50, 500, 5000], help="k")
    parser.add_argument("--temperatures", type=int, nargs="+", default=[30, 100, 300, 1000])
    parser.add_argument("--gap-temperatures", type=int, nargs="+", default=[30, 100, 300])
    parser.add_argument("--pair-temperatures", type=int, default=100, help="AIS of the comparison")
    parser.add_argument("--chains", type=int, default=8)
    parser.add_argument("--leapfrog", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=Path("estimators"), help="fitted models")
    parser.add_argument("--records", type=Path, help="FOLDER/records.jsonl by default")
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    options = parser.parse_args(arguments)
    options.records = options.records or options.folder / "records.jsonl"
    return options


def main(arguments: list[str] | None = None) -> None:
    """Fits and measures what has not been, then prints and draws."""
    options = parsed(arguments)
    ds = tb.data.load(options.data, split=options.split)
    grey = ds.test[: max(options.pairs, options.items, options.drawn)]
    # Binary once, for all estimators and both models: differences are about the same images.
    x = np.asarray(np.random.default_rng(0).random(grey.shape) < grey, np.float32)
    records: list[dict[str, Any]] = []
    if options.records.exists():
        records = [json.loads(line) for line in options.records.read_text().splitlines()]
    used = {name: getattr(options, name) for name in SETTINGS}
    kept: list[dict[str, Any]] = []
    for (model, call), epochs in zip(MODELS.items(), options.epochs, strict=True):
        run = None
        for estimator in estimators(options):
            about = {"model": model, "epochs": epochs, "images": estimator.images} | used
            about |= {"estimator": estimator.name, "family": estimator.family}
            found = [record for record in records if about.items() <= record.items()]
            if not found:
                path = options.folder / f"{model}.safetensors"
                run = run or fitted(path, call, epochs, ds.train, options)
                found = [about | measured(estimator, run, x)]
                options.records.parent.mkdir(parents=True, exist_ok=True)
                with options.records.open("a") as file:
                    file.write(json.dumps(found[0]) + "\n")
                print(
                    f"{model}, {estimator.family}, {estimator.name}: "
                    f"{np.mean(found[0]['values']):.2f}, {found[0]['seconds_per_image']:.4f} s",
                    flush=True,
                )
            kept += found[:1]
    rows = {model: rows_of(model, kept, options.items) for model in MODELS}
    for model, own in rows.items():
        print(f"\n{model}, {options.items} images:\n\n{table(own)}")
    print(f"\n{comparison(kept)}")
    drawing(rows, options.out / "mnist_estimators.png")
    print(f"picture: {options.out / 'mnist_estimators.png'}")


if __name__ == "__main__":
    main()
