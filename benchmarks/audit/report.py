"""Measures what is installed, compares with the exact values, and makes tables of it."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from benchmarks.audit import Measured, Measurement
from benchmarks.audit.checks import CHECKS, Check

STANDARD_ERRORS = 4.5
ROUNDING = 1e-3
"""What float32 and, for `evidence`, the finite number of draws may add."""


class Peer(NamedTuple):
    """A library: its distributions' names, what it is imported as, and our file for it."""

    packages: tuple[str, ...]
    root: str
    module: str


PEERS = {
    "tightbound": Peer(("tightbound",), "tightbound", "on_tightbound"),
    "pythae": Peer(("pythae",), "pythae", "on_pythae"),
    "pyro": Peer(("pyro-ppl",), "pyro", "on_pyro"),
    "numpyro": Peer(("numpyro",), "numpyro", "on_numpyro"),
    "flowjax": Peer(("flowjax",), "flowjax", "on_flowjax"),
    "sbi": Peer(("sbi",), "sbi", "on_sbi"),
    "tfp": Peer(("tensorflow-probability", "tfp-nightly"), "tensorflow_probability", "on_tfp"),
}


class Row(NamedTuple):
    """One number of one library; what it reports is None if its call raised."""

    check: str
    quantity: str
    model: str
    exact: float
    digits: int
    library: str
    version: str
    reported: float | None
    stderr: float | None
    call: str | None
    verdict: str
    """"agrees", "differs", or "raised: ..."."""

    @property
    def difference(self) -> float | None:
        """Reported less exact."""
        return None if self.reported is None else self.reported - self.exact


class Audit(NamedTuple):
    """All rows, in the order of the checks, and a line for each library that gave none."""

    rows: list[Row]
    absent: list[str]


def audit(names: Sequence[str]) -> Audit:
    """Runs the checks of these libraries, as far as they can be imported."""
    rows, absent = [], []
    for name in names:
        peer = PEERS[name]
        print(f"measuring {name}", file=sys.stderr)
        if importlib.util.find_spec(peer.root) is None:
            absent.append(f"{name}: not installed")
            continue
        version = _version(peer)
        try:
            module = importlib.import_module(f"benchmarks.audit.{peer.module}")
        except Exception as error:
            absent.append(f"{name} {version}: its import raised {_reason(error)}")
        else:
            rows += measured(name, version, module.MEASUREMENTS)
    order = [check.name for check in CHECKS]
    return Audit(sorted(rows, key=lambda row: order.index(row.check)), absent)


def measured(name: str, version: str, measurements: Mapping[str, Measurement]) -> Iterator[Row]:
    """A row for each check that the library takes."""
    for check in CHECKS:
        if check.name not in measurements:
            continue
        outcome, verdict = None, ""
        try:
            # Some print while they work.
            with contextlib.redirect_stdout(sys.stderr):
                outcome = measurements[check.name]()
        except Exception as error:
            verdict = f"raised: {_reason(error)}"
        if outcome is not None:
            verdict = "agrees" if agrees(outcome, check) else "differs"
        yield Row(
            check.name,
            check.quantity,
            check.model,
            check.exact,
            check.digits,
            name,
            version,
            None if outcome is None else outcome.value,
            None if outcome is None else outcome.stderr,
            None if outcome is None else outcome.call,
            verdict,
        )


def agrees(outcome: Measured, check: Check) -> bool:
    """Within 4.5 standard errors and rounding; a value that is not finite never is."""
    return abs(outcome.value - check.exact) <= STANDARD_ERRORS * outcome.stderr + ROUNDING


def markdown(found: Audit) -> str:
    """One table, and a line for each library that is not in it."""
    head = ["check", "quantity", "model", "exact", "library", "reports", "standard error"]
    head += ["difference", "", "by the call"]
    lines = [head, ["---"] * len(head)]
    for _, rows in itertools.groupby(found.rows, key=lambda row: row.check):
        first, *others = (_cells(row) for row in rows)
        lines += [first, *([""] * 4 + cells[4:] for cells in others)]
    table = ["| " + " | ".join(line) + " |" for line in lines]
    rule = (
        f'"agrees": within {STANDARD_ERRORS} standard errors plus {ROUNDING}. '
        "Log-likelihoods and bounds in nats."
    )
    return "\n".join([*table, "", rule, *([""] if found.absent else []), *found.absent])


def document(found: Audit) -> dict:
    """The same as plain data."""
    rows = [row._asdict() | {"difference": row.difference} for row in found.rows]
    return {"rows": rows, "absent": found.absent}


def _cells(row: Row) -> list[str]:
    return [
        f"`{row.check}`",
        row.quantity,
        row.model,
        _number(row.exact, row.digits),
        f"{row.library} {row.version}",
        _number(row.reported, row.digits),
        _number(row.stderr, row.digits) if row.stderr else "",
        _number(row.difference, row.digits),
        row.verdict.replace("|", "/"),
        row.call or "",
    ]


def _number(value: float | None, digits: int) -> str:
    # Adding zero turns -0.0, which rounding makes of small negative numbers, into 0.0.
    return "" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def _version(peer: Peer) -> str:
    for package in peer.packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(package)
    return "source tree"


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
