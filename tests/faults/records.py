"""Damage to every record of a run: refused in one line, or the same result as without it."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.faults.commands import Said, Tree, called, changed, files
from tests.faults.core import Attempt, Result
from tests.faults.damage import FOREIGN, IN_PLACE, damaged, in_place, remove
from tests.faults.workplace import OTHER, RUN, UNFINISHED, workplace
from tightbound.core.digests.arrays import read_arrays
from tightbound.core.digests.lines import read_lines
from tightbound.core.digests.record import read_record
from tightbound.core.errors import UsageError
from tightbound.data import load_arrays
from tightbound.recipes.settings import read_settings
from tightbound.training import load

LOCKS = (".lock", ".report.lock")


class Target(NamedTuple):
    """A file of a run, and the function that reads it."""

    path: str
    read: Callable[[Path], Any]

    @property
    def kind(self) -> str:
        """What those of other runs have too."""
        return self.path.split("/")[2]


def _arrays(kind: str) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        arrays, metadata = read_arrays(path, kind)
        return _plain(arrays), metadata

    return read


def _plain(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return {name: (str(a.dtype), a.shape, a.tobytes()) for name, a in arrays.items()}


def _model(path: Path) -> Any:
    run = load(path)
    return _arrays("saved run")(path), repr(run)


TARGETS = (
    Target(f"{RUN}/config.toml", lambda path: read_settings(path.parent)),
    Target(f"{RUN}/run.json", lambda path: read_record(path, "run")),
    Target(f"{RUN}/units.json", lambda path: read_record(path, "units")),
    Target(f"{RUN}/calibration.json", lambda path: read_record(path, "calibration")),
    Target(f"{RUN}/metrics.jsonl", lambda path: read_lines(path).records),
    Target(f"{RUN}/model.safetensors", _model),
    Target(f"{RUN}/pictures.safetensors", _arrays("pictures")),
    Target(f"{RUN}/evaluations/test-*.safetensors", _arrays("evaluation")),
    Target(f"{RUN}/evaluations/file-*.safetensors", _arrays("evaluation")),
    Target(f"{RUN}/evaluations/.*.npz", lambda path: _plain(load_arrays(path))),
    Target(f"{RUN}/checkpoints/last.safetensors", _arrays("checkpoint")),
    Target(f"{UNFINISHED}/config.toml", lambda path: read_settings(path.parent)),
    Target(f"{UNFINISHED}/metrics.jsonl", lambda path: read_lines(path).records),
    Target(f"{UNFINISHED}/checkpoints/last.safetensors", _arrays("checkpoint")),
)
"""Every file that is read again."""


@contextlib.contextmanager
def records() -> Iterator[Attempt]:
    """Damages the bytes of one file, and has it read by the function that reads it."""
    with workplace() as place:
        whole = [(_path(target), target.read) for target in TARGETS]
        contents = [path.read_bytes() for path, _ in whole]
        expected = [read(path) for path, read in whole]

        def attempt(number: int, rng: np.random.Generator) -> Result:
            at = number % len(whole)
            (path, read), content = whole[at], contents[at]
            kinds = zip(TARGETS, contents, strict=True)
            others = [other for target, other in kinds if target.kind != TARGETS[at].kind]
            kind, broken = _broken(content, rng, others)
            path.write_bytes(broken)
            try:
                ended = _read(path, read, expected[at], kind)
            finally:
                path.write_bytes(content)
            return Result(_name(path), *ended)

        yield attempt
        assert not changed(place.whole, files(place.root))


def _name(path: Path) -> str:
    """The kind of a record."""
    return path.suffix if path.name.startswith(".") else path.name.split("-")[0]


def _path(target: Target) -> Path:
    (path,) = Path().glob(target.path)
    return path


def _broken(content: bytes, rng: np.random.Generator, others: list[bytes]) -> tuple[str, bytes]:
    if rng.random() < 0.9:
        kind, broken = damaged(content, rng)
        if rng.random() < 0.2:
            again, broken = damaged(broken or b"\0", rng)
            kind = f"{kind}, {again}"
        return kind, broken
    foreign = {**FOREIGN, **{f"record {i}": other for i, other in enumerate(others)}}
    kind = str(rng.choice(list(foreign)))
    return kind, foreign[kind]


def _read(path: Path, read: Callable[[Path], Any], expected: Any, kind: str) -> tuple[bool, str]:
    """Whether a reader told the truth, and how."""
    try:
        found = read(path)
    except UsageError as error:
        clear = str(error).isprintable() and len(str(error)) < 600 and path.name in str(error)
        return clear, f"{kind}: refused: {error}"
    if found == expected:
        return True, f"{kind}: the same"
    # Of metrics alone a torn end is passed over: the rest must be as it was.
    torn = path.name == "metrics.jsonl" and found == expected[: len(found)]
    return torn, f"{kind}: read as {str(found)[:300]}"


class Command(NamedTuple):
    """A command that reads a run, and the run."""

    arguments: tuple[object, ...]
    run: Path


COMMANDS = (
    Command(("report", RUN, "--json"), RUN),
    Command(("report", RUN), RUN),
    Command(("evaluate", RUN, "--k", 10, "--json"), RUN),
    Command(("evaluate", RUN, "--k", 10, "--split", "validation", "--json"), RUN),
    Command(("evaluate", RUN, "--k", 10, "--data", "new.npy", "--json"), RUN),
    Command(("evaluate", RUN, "--k", 10, "--overwrite", "--json"), RUN),
    Command(("sample", RUN, "--n", 3, "--json"), RUN),
    Command(("reconstruct", RUN, "new.npy", "--json"), RUN),
    Command(("fit", "--resume", "--name", RUN.name, "--json"), RUN),
    Command(("fit", "--resume", "--name", UNFINISHED.name, "--json"), UNFINISHED),
    Command(("report", UNFINISHED), UNFINISHED),
)
_CHEAP = 8
"""The first commands take little time, and are tried more often."""


@contextlib.contextmanager
def damaged_runs() -> Iterator[Attempt]:
    """Damages or replaces one file of a run, and calls a command that reads the run."""
    with workplace() as place:
        expected: list[tuple[Said, Tree]] = []
        for command in COMMANDS:
            said = called(*command.arguments)
            expected.append((said, files(place.root)))
            assert said.status == 0, said
            place.restore()

        def attempt(number: int, rng: np.random.Generator) -> Result:
            at = int(rng.integers(len(COMMANDS) if rng.random() < 0.3 else _CHEAP))
            command = COMMANDS[at]
            kind, path = _harm(command.run, rng)
            before = files(place.root)
            said = called(*command.arguments)
            survived, how = _judge(said, before, files(place.root), expected[at])
            if not survived and said.refused and _goes_on(command, path, place.whole):
                again = called(*command.arguments)
                survived = again.out == expected[at][0].out
                how = f"{how}; with the file put back: {again}"
            place.restore()
            words = f"{' '.join(map(str, command.arguments))}, {path} {kind}: {how}"
            return Result(str(command.arguments[0]), survived, words)

        yield attempt


def _harm(run: Path, rng: np.random.Generator) -> tuple[str, Path]:
    """Does something to one file of a run."""
    found = sorted(path for path in run.rglob("*") if path.is_file() and path.name not in LOCKS)
    path = found[int(rng.integers(len(found)))]
    if rng.random() < 0.25:
        kind = str(rng.choice(IN_PLACE))
        in_place(path, kind)
    elif rng.random() < 0.3 and (other := _same_kind(path)) is not None:
        kind = f"is {other}"
        path.write_bytes(other.read_bytes())
    else:
        everything = [other.read_bytes() for other in found]
        kind, content = _broken(path.read_bytes(), rng, everything)
        path.write_bytes(content)
    return kind, path


def _goes_on(command: Command, path: Path, whole: Tree) -> bool:
    """Puts a file back where a refusal came late, which must not have cost anything then.

    That is so where a fit has trained, and where the operating system refuses to write.
    """
    remove(path)
    path.write_bytes(whole[str(path)])
    return "fit" in command.arguments or path.parent.name == "figures" or path.suffix == ".html"


def _same_kind(path: Path) -> Path | None:
    """The file of another run that answers to this one."""
    name = path.name.split("-")[0]
    for other in (OTHER, RUN):
        if other not in path.parents and path.name != "config.toml":  # any settings may be wanted
            for found in sorted(other.rglob(f"{name}*")):
                if found.read_bytes() != path.read_bytes():
                    return found
    return None


def _judge(said: Said, before: Tree, after: Tree, expected: tuple[Said, Tree]) -> tuple[bool, str]:
    """Whether a command refused and left all as it was, or did what it does without damage."""
    written = [name for name in changed(before, after) if Path(name).name not in LOCKS]
    if said.status or said.fault:
        return said.refused and not written, f"{said}; written {written}"
    if said.err:
        return False, f"{said}"
    if said.out == expected[0].out:
        strange = [name for name in written if name not in expected[1] and name not in before]
        return not strange, f"the same; also written {strange}"
    told = any(word in said.out for word in REASONS) or _only_lacks(said.out, expected[0].out)
    return told, f"another result: {_difference(said.out, expected[0].out)}"


REASONS = (
    "is not there",
    "is about another model",
    "is out of date",
    "is about other data",
    "holds none of the test part",
)
"""Words of a report for records that are missing, or are whole and do not belong to the run."""


def _only_lacks(found: str, expected: str) -> bool:
    """Whether a line of JSON says the same, or null."""
    with contextlib.suppress(ValueError):
        a, b = json.loads(found), json.loads(expected)
        return all(a.get(name) in (None, b[name]) for name in b)
    return False


def _difference(found: str, expected: str) -> str:
    """The first difference of two outputs."""
    with contextlib.suppress(ValueError):
        a, b = json.loads(found), json.loads(expected)
        return str({name: (a.get(name), b.get(name)) for name in b if a.get(name) != b.get(name)})
    pairs = zip(found.splitlines(), expected.splitlines(), strict=False)
    return next((f"{a!r} for {b!r}" for a, b in pairs if a != b), "shorter or longer")
