"""The order of the package: imports go downwards only."""

import ast
from pathlib import Path

import pytest

import tightbound

ROOT = Path(tightbound.__file__).parent

# Each line may import the lines above it and itself.
ORDER = [
    ["core.aligned", "core.errors", "core.discovery", "core.supports"],
    ["core.calls"],
    ["core.budget"],
    ["core.names"],
    ["core.files"],
    ["core.digests", "core.locks"],
    ["core.streams"],
    ["core.progress"],
    ["core.items"],
    ["core.room"],
    ["core.compilation"],
    ["data"],
    ["networks"],
    ["distributions"],
    ["likelihoods"],
    ["models"],
    ["mcmc"],
    ["bounds"],
    ["gradients"],
    ["adjoints"],
    ["objectives"],
    ["training"],
    ["evidence"],
    ["diagnostics"],
    ["tasks"],
    ["doctor"],
    ["report"],
    ["recipes.candidates"],
    ["recipes.settings"],
    ["recipes.labels"],
    ["recipes.build"],
    ["recipes.tables"],
    ["runs"],
    ["sklearn"],
    ["cli"],
    ["__main__"],
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}

# Less than the order allows: numbers judge any model, and reports read records alone.
ONLY = {
    "bounds": {"core.errors", "core.discovery"},
    "networks": {"core.errors", "core.discovery", "core.streams", "core.items"},
    "mcmc": {"core.errors", "core.streams"},
    "adjoints": {"core.errors"},
    "evidence": {
        "core.errors", "core.budget", "core.digests", "core.discovery", "core.streams",
        "core.progress", "core.items", "core.compilation", "data", "networks", "distributions",
        "likelihoods", "models", "bounds", "mcmc",
    },
    "core.digests": {"core.errors", "core.files"},
    "core.locks": {"core.errors", "core.files"},
    "report": {"core.errors", "core.files", "core.digests", "core.locks"},
    "recipes.candidates": {"core.errors", "core.calls"},
    "recipes.settings": {
        "core.errors", "core.calls", "core.names", "core.files", "core.digests",
        "recipes.candidates",
    },
}  # fmt: skip

# What loads without JAX, and what nothing may load.
WITHOUT_JAX = (
    "core.errors", "core.discovery", "core.calls", "core.budget", "core.names", "core.files",
    "core.digests", "core.locks", "core.progress", "report", "recipes.candidates",
    "recipes.settings", "cli",
)  # fmt: skip
HEAVY = {"jax", "jaxlib", "equinox", "optax", "numpyro"}
PRIVATE = ("jax._src", "equinox.internal", "equinox._", "pickle", "joblib", "dill")


APART = ("core", "recipes")
"""Folders whose files have places of their own in the order."""


def module_of(path):
    """What of a file stands in the order: its folder, or itself."""
    return place_of(path.relative_to(ROOT).with_suffix("").parts)


def place_of(parts):
    """The place in the order of a dotted name's parts."""
    return ".".join(parts[: 2 if parts[0] in APART else 1])


EMPTY = [ROOT / "__init__.py", ROOT / "core" / "__init__.py", ROOT / "recipes" / "__init__.py"]
FILES = sorted(path for path in ROOT.rglob("*.py") if path not in EMPTY)
every_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))


def imports(tree, *, executed_on_loading=False):
    """Dotted names of everything that is imported, in functions too unless asked otherwise."""
    found, nodes = [], [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the order"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        lazy = lazy or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        if not (executed_on_loading and lazy):
            nodes += ast.iter_child_nodes(node)
    return found


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def own(names):
    """The places in the order among dotted names."""
    return {place_of(name.split(".")[1:]) for name in names if name.startswith("tightbound.")}


def test_every_folder_and_file_has_its_place_in_the_order():
    assert {module_of(path) for path in FILES} == set(LEVEL)
    assert set(ONLY) <= set(LEVEL)


@every_file
def test_imports_go_downwards(path):
    here = module_of(path)
    for there in own(imports(parse(path))) - {here}:
        assert there in LEVEL, f"{here} imports {there}, which has no place in the order"
        assert LEVEL[there] < LEVEL[here], f"{here} imports {there}, which stands above it"
        assert there in ONLY.get(here, LEVEL), f"{here} may not import {there}"


@every_file
def test_nothing_private_and_nothing_pickled_is_imported(path):
    for name in imports(parse(path)):
        assert not name.startswith(PRIVATE), name


@pytest.mark.parametrize("name", WITHOUT_JAX)
def test_what_should_start_quickly_loads_no_jax(name):
    for path in (path for path in FILES if module_of(path) == name):
        loaded = imports(parse(path), executed_on_loading=True)
        assert not {module.split(".")[0] for module in loaded} & HEAVY, path
        assert own(loaded) <= set(WITHOUT_JAX), path


def test_the_reading_of_imports_sees_all_forms():
    tree = ast.parse(
        "import tightbound.training as t\n"
        "from tightbound import evidence\n"
        "from tightbound.data.binarise import resolve\n"
        "if TYPE_CHECKING:\n    import jax\n"
        "def f():\n    from tightbound.models import Model\n"
    )
    assert own(imports(tree)) == {"training", "evidence", "data", "models"}
    assert own(imports(tree, executed_on_loading=True)) == {"training", "evidence", "data"}
    assert "jax" in imports(tree)
    assert "jax" not in imports(tree, executed_on_loading=True)
