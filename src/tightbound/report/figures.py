"""Every figure of a report: which records it needs, how it is drawn, and what to look for in it."""

from functools import partial

import numpy as np
from jaxtyping import Float

from tightbound.report import classifiers, curves, pictures, table_figures, tails, units
from tightbound.report.evaluations import EVALUATIONS
from tightbound.report.exhibit import Exhibit, Lack, Needless, Shown, chart
from tightbound.report.records import CALIBRATION, PICTURES, UNITS, Records
from tightbound.report.summary import bound_kind
from tightbound.report.theme import WIDTH


def exhibits(records: Records) -> list[Shown]:
    """All figures in the order of reading, those that cannot be drawn by what is in their place."""
    shown = [
        table_figures.marginals_of(records),
        table_figures.pairs_of(records),
        table_figures.correlations_of(records),
        _learning_curve(records),
        _bound_against_k(records),
        _classifiers(records),
        _active_units(records),
        _khat(records),
        _reconstructions(records),
        _samples(records),
        _manifold(records),
    ]
    return [entry for entry in shown if entry is not None]


def _learning_curve(records: Records) -> Shown:
    title = "Learning curve"
    if not curves.has_history(records.history):
        return Lack(title, "metrics.jsonl")
    several = records.history.train.shape[1] > 1
    apart = ", and thin lines that part are seeds that disagree" if several else ""
    return chart(
        "learning_curve.png",
        title,
        "Training should have flattened by the end; validation that falls while training still "
        f"rises is over-fitting{apart}.",
        partial(curves.draw_learning_curve, history=records.history, name=bound_kind(records)),
    )


def _classifiers(records: Records) -> Shown | None:
    title = "Classifiers of q"
    found = classifiers.classifiers(records)
    if not found:
        return Lack(title, CALIBRATION) if CALIBRATION in records.absent else None
    return chart(
        "classifiers.png",
        title,
        "What the objective takes for a log-ratio is the logit of a classifier, on draws that it "
        "has not seen: points on the diagonal can be believed, and an accuracy near 100 % says "
        "that q and its contrast are apart and the ratio a guess.",
        partial(classifiers.draw_classifiers, records=records),
        width=WIDTH * (1 + len(found)),
    )


def _bound_against_k(records: Records) -> Shown:
    title = "Bound against k"
    if not records.with_posterior:
        return Needless(title)
    ks, table = curves.bounds_by_k(records)
    if not len(ks) or not np.isfinite(table).any():
        return Lack(title, EVALUATIONS)
    return chart(
        "bound_against_k.png",
        title,
        "The curve must level off before its right end: while it still moves there, the bound is "
        "not yet the log-likelihood.",
        partial(curves.draw_bound_against_k, records=records),
    )


def _active_units(records: Records) -> Shown:
    title = "Active units"
    if not records.with_posterior:
        return Needless(title)
    found = units.layers(records)
    if not found:
        return Lack(title, UNITS)
    return chart(
        "active_units.png",
        title,
        "A unit whose posterior mean hardly varies over the data (a grey bar, beneath the line) "
        "says nothing about them and costs no KL; look for a clear step between the two kinds.",
        partial(units.draw_active_units, found=found),
        height=5.6,
        width=WIDTH * len(found),
    )


def _khat(records: Records) -> Shown:
    title = "Tails of the importance weights"
    if not records.with_posterior:
        return Needless(title)
    khat = records.diagnostics.get("khat")
    if khat is None or not khat.size:
        return Lack(title, EVALUATIONS)
    return chart(
        "khat.png",
        title,
        "Items beyond 0.7 have weights so heavy-tailed that more samples help slowly, and beyond 1 "
        "their standard errors mean nothing; a trustworthy evaluation has few of either.",
        partial(tails.draw_khat, khat=khat),
    )


def _samples(records: Records) -> Shown:
    title = "Samples"
    samples = _picture(records, "samples")
    if samples is None:
        return Lack(title, PICTURES)
    shape, limits = pictures.image_shape(records, samples), pictures.value_range(samples)
    if shape is None:
        return _heat_map("samples.png", title, _SAMPLES_TABLE, {"samples": samples}, limits)
    sheet = pictures.samples_sheet(samples, shape, limits)
    return Exhibit("samples.png", title, _SAMPLES, sheet, sheet)


_SAMPLES = (
    "Likelihood means of draws from the prior: look for variety, and for draws unlike the data."
)
_SAMPLES_TABLE = (
    "Likelihood means of draws from the prior, one row each: look for variety between rows, and "
    "for values that the data never take."
)


def _reconstructions(records: Records) -> Shown:
    title = "Reconstructions"
    originals = _picture(records, "originals")
    rebuilt = _picture(records, "reconstructions")
    if originals is None or rebuilt is None or originals.shape[1] != rebuilt.shape[1]:
        return Lack(title, PICTURES)
    shape = pictures.image_shape(records, originals)
    limits = pictures.value_range(originals, rebuilt)
    if shape is None:
        panels = {"originals": originals, "reconstructions": rebuilt}
        return _heat_map("reconstructions.png", title, _PAIRS_TABLE, panels, limits)
    sheet = pictures.pairs_sheet(originals, rebuilt, shape, limits)
    return Exhibit("reconstructions.png", title, _PAIRS, sheet, sheet)


_PAIRS = (
    "Each original has its reconstruction right beneath: look for lost details and changed kinds."
)
_PAIRS_TABLE = (
    "The same rows before and after, missing values in grey: look for stripes above that are not "
    "there beneath, features that the code does not carry."
)


def _manifold(records: Records) -> Exhibit | None:
    manifold = _picture(records, "manifold")
    if manifold is None:
        return None
    title = "Latent manifold"
    caption = (
        "The two latent coordinates run over the unit square through the inverse Gaussian "
        "distribution function: look for smooth change, and for kinds of item that own no region."
    )
    shape, limits = pictures.image_shape(records, manifold), pictures.value_range(manifold)
    if shape is None:
        return _heat_map("manifold.png", title, caption, {"grid points": manifold}, limits)
    sheet = pictures.manifold_sheet(manifold, shape, limits)
    return Exhibit("manifold.png", title, caption, sheet, sheet)


def _picture(records: Records, name: str) -> Float[np.ndarray, "m d"] | None:
    array = records.pictures.get(name)
    return array if array is not None and array.size else None


def _heat_map(
    name: str,
    title: str,
    caption: str,
    panels: dict[str, Float[np.ndarray, "m d"]],
    limits: tuple[float, float],
) -> Exhibit:
    draw = partial(pictures.draw_heat_maps, panels=panels, limits=limits)
    return chart(name, title, caption, draw, height=1.2 + 1.8 * len(panels))
