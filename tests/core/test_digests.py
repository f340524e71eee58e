"""Whatever happens to a record, it comes back as it was written or is refused in one line."""

import json
import math

import numpy as np
import pytest

from tightbound.core.digests import arrays as arrays_of_files
from tightbound.core.digests import record as records
from tightbound.core.digests.arrays import digest_of, read_arrays, write_arrays
from tightbound.core.digests.lines import START, read_lines, to_line
from tightbound.core.digests.record import entry, parse, read_record, write_record
from tightbound.core.digests.text import read_sealed, sealed
from tightbound.core.errors import UsageError

RECORD = {"name": "ä", "numbers": [1, 0.1 + 0.2, -3], "inner": {"none": None, "true": True}}
LINES = [{"epoch": 1, "bound": [0.1 + 0.2, -math.inf]}, {"epoch": 2, "bound": [math.nan, 1e-300]}]


def write_lines(path, lines=LINES):
    digest, text = START, ""
    for line in lines:
        written, digest = to_line(line, digest)
        text += written
    path.write_text(text)


FILES = {
    "record": (
        lambda path: write_record(path, "run", RECORD),
        lambda path: read_record(path, "run"),
    ),
    "lines": (write_lines, read_lines),
    "arrays": (
        lambda path: write_arrays(path, "model", {"w": np.arange(3.0)}, RECORD),
        lambda path: read_arrays(path, "model"),
    ),
    "text": (
        lambda path: path.write_text(sealed("k = 5\n")),
        lambda path: read_sealed(path, "settings"),
    ),
}
each_file = pytest.mark.parametrize("kind", FILES)


def refused(path, read, words=None):
    with pytest.raises(UsageError, match=words) as error:
        read(path)
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)


@each_file
def test_every_flipped_bit_is_refused_in_one_line(kind, tmp_path):
    write, read = FILES[kind]
    path = tmp_path / "file"
    write(path)
    payload = path.read_bytes()
    read(path)
    for place in range(len(payload)):
        for bit in range(8):
            flipped = bytes([payload[place] ^ (1 << bit)])
            path.write_bytes(payload[:place] + flipped + payload[place + 1 :])
            refused(path, read)


@each_file
def test_every_torn_end_is_refused_or_cut_off(kind, tmp_path):
    write, read = FILES[kind]
    path = tmp_path / "file"
    write(path)
    payload = path.read_bytes()
    second = payload.index(b"\n") + 1 if kind == "lines" else None
    for size in range(len(payload)):
        path.write_bytes(payload[:size])
        if second is None:
            refused(path, read)
        else:
            assert len(read(path).records) == (size >= second)


@each_file
@pytest.mark.parametrize(
    "junk", [b"", b"\n", b"\xff\xfe\x00", b"{}", b"[1]", b"\x80\x04N.", b"NaN"]
)
def test_what_is_none_of_ours_is_refused(kind, junk, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(junk + b"\n" if kind == "lines" else junk)
    refused(path, FILES[kind][1])
    path.unlink()
    refused(path, FILES[kind][1], "found no file")


def test_a_record_comes_back_without_numbers_that_json_lacks(tmp_path):
    path = tmp_path / "file"
    write_record(path, "run", RECORD | {"nan": math.nan, "pair": (1.0, -math.inf)})
    assert read_record(path, "run") == RECORD | {"nan": None, "pair": [1.0, None]}
    whole = json.loads(path.read_text())
    assert (whole["kind"], whole["version"], len(whole["sha256"])) == ("run", 1, 64)
    refused(path, lambda path: read_record(path, "units"), "expected a record of kind 'units'")


def test_a_record_of_another_version_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "file"
    monkeypatch.setattr(records, "VERSION", 7)
    write_record(path, "run", RECORD)
    monkeypatch.undo()
    refused(path, lambda path: read_record(path, "run"), "version 1, got kind 'run', version 7")


def test_lines_come_back_to_the_last_bit(tmp_path):
    path = tmp_path / "file"
    write_lines(path)
    found = read_lines(path)
    assert repr(found.records) == repr(
        [{**line, "bound": list(map(float, line["bound"]))} for line in LINES]
    )
    assert found.text == path.read_text()
    one = read_lines(path, 1)
    assert one.records == LINES[:1]
    line, digest = to_line(LINES[1], one.digest)
    assert (one.text + line, digest) == (found.text, found.digest)


@pytest.mark.parametrize(
    ("order", "number"), [((1,), 1), ((1, 0, 2), 1), ((0, 2), 2), ((0, 0, 1, 2), 2)]
)
def test_lines_that_are_lost_or_moved_are_named(order, number, tmp_path):
    path = tmp_path / "file"
    write_lines(path, [{"epoch": epoch} for epoch in range(3)])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[place] for place in order))
    refused(path, read_lines, f"line {number} is damaged")


def test_arrays_and_what_they_mean_come_back(tmp_path):
    path = tmp_path / "file"
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "scalar": np.array(3, np.int32)}
    write_arrays(path, "model", arrays, RECORD | {"blank": arrays_of_files._BLANK})
    found, metadata = read_arrays(path, "model")
    assert metadata == RECORD | {"blank": arrays_of_files._BLANK}
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in arrays.items()
    }
    before = path.read_bytes()
    write_arrays(path, "model", arrays, metadata)
    assert path.read_bytes() == before


def test_the_digest_of_arrays_sees_names_types_shapes_and_values_but_no_order():
    a, b = np.arange(4, dtype=np.float32), np.zeros(0)
    one = digest_of({"a": a, "b": b})
    assert digest_of({"b": b, "a": a}) == one
    others = [
        {"c": a, "b": b},
        {"a": a.astype(np.float64), "b": b},
        {"a": a.reshape(2, 2), "b": b},
        {"a": -a, "b": b},
        {"a": a[::-1], "b": b},
        {"a": a},
    ]
    assert len({one, *map(digest_of, others)}) == 1 + len(others)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b'{"a": -Infinity}', "-Infinity is no number"),
        (b'{"a": 1e999}', "too large a number"),
        (b'{"a": ' + b"7" * 401 + b"}", "an integer has 401 digits"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": "\xff"}', "no JSON"),
        (b"[]", "expected a JSON object, got a list"),
        (b"", "no JSON"),
    ],
)
def test_json_that_we_do_not_write_is_refused(text, words):
    with pytest.raises(UsageError, match=words) as error:
        parse(text, "run.json")
    assert str(error.value).startswith("run.json is damaged: ")
    assert len(str(error.value)) < 300


def test_entries_must_be_there_and_of_their_type(tmp_path):
    assert entry({"n": 3}, tmp_path, "n", int, float) == 3
    with pytest.raises(UsageError, match="expected 'n' to be int, got none"):
        entry({}, tmp_path, "n", int)
    with pytest.raises(UsageError, match="expected 'n' to be int, got bool 'True'"):
        entry({"n": True}, tmp_path, "n", int)
