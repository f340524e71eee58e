"""Compiled programs that are kept: counted, not timed; never a reason to fail or to differ."""

import os

import pytest

from tightbound.cli import compilation
from tightbound.cli.compilation import SWITCH
from tightbound.data import load_arrays

CODE = """
import sys, warnings
warnings.simplefilter("error")
from tightbound.cli.compilation import kept_compilations
import jax
import jax.monitoring
counts = {}
def count(event, **_):
    counts[event] = counts.get(event, 0) + 1
jax.monitoring.register_event_listener(count)
before = jax.config.jax_compilation_cache_dir
with kept_compilations():
    import jax.numpy as jnp
    x = jnp.linspace(-1, 1, 1000).reshape(20, 50)
    y = jax.jit(lambda x: jnp.tanh(x @ x.T).sum(0) + jnp.exp(x).sum())(x)
    print(y.tobytes().hex())
assert jax.config.jax_compilation_cache_dir == before
of = "/jax/compilation_cache/"
print(*(counts.get(of + name, 0) for name in (
    "compile_requests_use_cache", "cache_hits", "cache_misses")))
"""


def ran(script, **environment):
    """The bits of the result; programs asked for, found, and compiled."""
    done = script(CODE, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    bits, counts = done.stdout.splitlines()
    return bits, tuple(map(int, counts.split()))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "cache" / "tightbound" / "xla"


@pytest.mark.slow
def test_the_second_start_compiles_nothing_and_gives_the_same_bits(script, store):
    without, (_, hits, compiled) = ran(script, **{SWITCH: "off"})
    assert hits == 0
    assert not store.exists()
    first, (asked, hits, compiled) = ran(script)
    assert (hits, compiled) == (0, asked)
    assert asked > 1
    again, (asked, hits, compiled) = ran(script)
    assert (hits, compiled) == (asked, 0)
    assert first == again == without
    assert (store.stat().st_mode & 0o777) == 0o700
    assert not list(store.glob("work-*"))


@pytest.mark.slow
def test_damaged_entries_are_replaced(script, store):
    bits, (asked, *_) = ran(script)
    entries = sorted(store.glob("*.*.*"))
    assert len(entries) == asked
    for number, entry in enumerate(entries):
        content = bytearray(entry.read_bytes())
        if number % 3 == 0:
            content = content[: len(content) // 2]
        elif number % 3 == 1:
            content[len(content) // 2] ^= 1
        else:
            content = b""
        entry.write_bytes(content)
    again, (asked, hits, compiled) = ran(script)
    assert (again, hits, compiled) == (bits, 0, asked)
    last, (asked, hits, compiled) = ran(script)
    assert (last, hits, compiled) == (bits, asked, 0)


@pytest.mark.slow
def test_a_folder_that_cannot_be_used_is_no_error(script, tmp_path):
    (tmp_path / "cache").touch()
    bits, (_, hits, compiled) = ran(script)
    assert (hits, compiled) == (0, 0)
    shared = tmp_path / "shared" / "tightbound" / "xla"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    again, _ = ran(script, XDG_CACHE_HOME=str(tmp_path / "shared"))
    assert again == bits
    assert list(shared.iterdir()) == []


def test_a_cache_of_the_users_own_stays_as_it_is(script, store, tmp_path):
    own = tmp_path / "own"
    ran(script, JAX_COMPILATION_CACHE_DIR=str(own))
    assert not store.exists()


def test_the_store_is_bounded_and_the_oldest_go_first(tmp_path, monkeypatch):
    store, work = tmp_path / "store", tmp_path / "work"
    store.mkdir()
    work.mkdir()
    monkeypatch.setattr(compilation, "LARGEST", 250)
    for number in range(3):
        entry = store / f"f.old.{number}.{number}"
        entry.write_bytes(bytes(100))
        os.utime(entry, (number, number))
    killed, alive = store / "work-killed", store / "work-alive"
    killed.mkdir()
    alive.mkdir()
    os.utime(killed, (0, 0))
    (work / "new.key-cache").write_bytes(b"x" * 100)
    compilation._checked_in(work, "f", store)
    kept = {path.name.rpartition(".")[0] for path in store.glob("*.*.*")}
    assert kept == {"f.old.2", "f.new.key"}
    assert alive.exists()
    assert not killed.exists()
    compilation._checked_out(store, "f", work)
    assert (work / "new.key-cache").read_bytes() == b"x" * 100
    assert not (work / "old.2-cache").exists()  # its digest is another
    assert not (store / "f.old.2.2").exists()


COMMAND = """
import sys
import jax.monitoring
counts = {"cache_hits": 0, "cache_misses": 0}
def count(event, **_):
    name = event.rpartition("/")[2]
    if name in counts:
        counts[name] += 1
jax.monitoring.register_event_listener(count)
from tightbound.cli import main
try:
    main()
finally:
    print(counts["cache_hits"], counts["cache_misses"], file=sys.stderr)
"""


@pytest.mark.slow
def test_a_run_resumed_from_kept_programs_has_the_same_bits(script, tmp_path):
    sizes = "--schedule constant --latent 2 --hidden 8 --k 2 --evaluate-k 20".split()

    def fit(*more, **environment):
        done = script(COMMAND, "fit", "digits", *sizes, *more, **environment)
        assert done.returncode == 0, done.stderr
        hits, compiled = map(int, done.stderr.splitlines()[-1].split())
        assert done.stderr.count("\n") == 1  # no word of XLA's about machines
        return hits, compiled

    def bits(name):
        run = tmp_path / "runs" / name
        # By the name of the weights and data: the resumed run has an earlier evaluation too.
        (evaluation,) = (tmp_path / "runs" / "fresh" / "evaluations").iterdir()
        found = load_arrays(run / "evaluations" / evaluation.name)
        checkpoint = (run / "checkpoints" / "last.safetensors").read_bytes()
        return checkpoint, {part: array.tobytes() for part, array in found.items()}

    assert fit("--epochs", "4", "--name", "fresh", **{SWITCH: "off"}) == (0, 0)
    assert fit("--epochs", "4", "--name", "first")[1] > 10
    hits, compiled = fit("--epochs", "4", "--name", "second")
    assert compiled == 0
    assert hits > 10
    fit("--epochs", "2", "--name", "parts")
    fit("--epochs", "4", "--name", "parts", "--resume")
    assert bits("fresh") == bits("first") == bits("second") == bits("parts")
