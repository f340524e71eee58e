"""Files that are damaged, or made to harm: refused in one line, and never believed."""

import io
import struct
import warnings
import zipfile

import numpy as np
import pytest

from tightbound import data
from tightbound.core.errors import UsageError
from tightbound.data.readers import numpy_files, parquet

X = np.arange(6.0).reshape(3, 2)


def npy(header, body=b"", version=1):
    """A .npy file with any header."""
    text = header.encode() if isinstance(header, str) else header
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + body


def header(shape="(3, 2)", descr="'<f8'", fortran="False"):
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def load(tmp_path, content, name="a.npy"):
    (tmp_path / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return data.load_items(tmp_path / name)


def archive(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names that come twice
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def test_headers_by_hand_are_read(tmp_path):
    for version in (1, 2):
        found = load(tmp_path, npy(header(), X.tobytes(), version))
        np.testing.assert_array_equal(found.x, X)
    found = load(tmp_path, npy(header(fortran="True"), X.T.tobytes()))
    np.testing.assert_array_equal(found.x, X)
    found = load(tmp_path, npy(header(descr="'>i2'"), X.astype(">i2").tobytes()))
    np.testing.assert_array_equal(found.x, X)


@pytest.mark.parametrize(
    "content",
    [
        npy(header("(3000000, 2000000)"), X.tobytes()),  # 44 TiB
        npy(header(f"({10**30}, 2)"), X.tobytes()),
        npy(header("(-3, -2)"), X.tobytes()),
        npy(header("(3.0, 2)"), X.tobytes()),
        npy(header("(3, True)"), X.tobytes()[:24]),
        npy(header("[3, 2]"), X.tobytes()),
        npy(header("('a', 2)"), X.tobytes()),
        npy(header(), X.tobytes()[:-1]),
        npy(header(), X.tobytes() + b"\0"),
        npy(header("(3,)"), X.tobytes()),
        npy(header(descr="'|S0'"), b""),
        npy(header(descr="'<q9'"), X.tobytes()),
        npy(header(descr="('<f8', (3,))"), X.tobytes()),
        npy(header(descr="[('a', '<f8')]"), X.tobytes()),
        npy(header(descr="'|O'"), X.tobytes()),
        npy(header(descr="None"), X.tobytes()),
        npy(header(fortran="'no'"), X.tobytes()),
        npy("{'descr': '<f8', 'shape': (3, 2)}\n", X.tobytes()),
        npy("[" * 5000 + "]" * 5000),
        npy("(" * 90 + "1" + ",)" * 90),
        npy("__import__('os').getpid()\n"),
        npy("\0" * 80),
        npy(b"\xff" * 80),
        npy("{" + " " * 60_000, version=2),
        npy("{1: 2, 'a': [}]}"),
        npy(header(), X.tobytes())[:9],
        b"\x93NUMPY\x03\x00" + npy(header(), X.tobytes())[8:],
        b"\x93NUMPY\x09\x09" + npy(header(), X.tobytes())[8:],
        b"PK\x03\x04",
        b"\x80\x04N.",
    ],
)
def test_npy_files_that_lie_are_refused(tmp_path, content):
    for name, bytes_ in (("a.npy", content), ("a.npz", archive([("x.npy", content)]))):
        with pytest.raises(UsageError, match="NumPy's format") as error:
            load(tmp_path, bytes_, name)
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("x.npy", b"no array")], "'x': expected an array in NumPy's format, got other data"),
        ([("x.npy", npy(header(), X.tobytes())), ("notes.txt", b"")], "'notes.txt': expected an"),
        ([("x.npy", npy(header(), X.tobytes()))] * 2, "'x': .* different names, got this one twi"),
        ([("a\x1b[0m\n.npy", npy(header(), b""))], r"'a\\x1b\[0m\\n': .* damaged"),
        ([], "got nothing"),
    ],
)
def test_members_that_are_no_arrays_are_refused(tmp_path, members, message):
    with pytest.raises(UsageError, match=message):
        load(tmp_path, archive(members), "a.npz")


@pytest.mark.parametrize("method", [8, 12, 14], ids=["deflate", "bzip2", "lzma"])
def test_packed_archives_are_read_or_refused_as_damaged(tmp_path, method):
    content = archive([("x.npy", npy(header(), X.tobytes()))], method)
    np.testing.assert_array_equal(load(tmp_path, content, "a.npz").x, X)
    middle = content.index(b"x.npy") + 40
    with pytest.raises(UsageError, match="data that are damaged"):
        load(tmp_path, content[:middle] + b"\xff\xff\xff" + content[middle + 3 :], "a.npz")


def test_a_flipped_bit_of_an_archive_is_found(tmp_path):
    content = bytearray(archive([("x.npy", npy(header(), X.tobytes()))]))
    content[content.index(X.tobytes()) + 13] ^= 1
    with pytest.raises(UsageError, match="damaged .BadZipFile"):
        load(tmp_path, bytes(content), "a.npz")


def test_archives_that_unpack_to_too_much_are_refused_before(tmp_path, monkeypatch):
    monkeypatch.setattr(numpy_files, "_LARGE", 2**16)
    zeros = io.BytesIO()
    np.save(zeros, np.zeros((2**16, 4)))
    content = archive([("x.npy", zeros.getvalue())], zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)
    with pytest.raises(UsageError, match="unpacks to at most 200 times its size, got"):
        load(tmp_path, content, "a.npz")


def test_parquet_that_unpacks_to_too_much_is_refused_before(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    buffer = io.BytesIO()
    pq.write_table(pyarrow.table({"a": np.zeros(10**7)}), buffer)
    np.testing.assert_array_equal(len(load(tmp_path, buffer.getvalue(), "a.parquet").x), 10**7)
    monkeypatch.setattr(parquet, "_LARGE", 2**16)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    with pytest.raises(UsageError, match="announces sizes that it does not hold"):
        load(tmp_path, buffer.getvalue(), "a.parquet")


def test_objects_are_not_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, ("raise SystemExit('unpickled')",))

    buffer = io.BytesIO()
    np.save(buffer, np.array([[Bomb()]], object), allow_pickle=True)
    with pytest.raises(UsageError, match="of objects .* have to be unpickled"):
        load(tmp_path, buffer.getvalue())


def test_an_archive_that_hides_a_member_is_refused(tmp_path):
    """The directory's entries have no checksum: a comment's length hides what comes behind."""
    member = npy(header(), X.tobytes())
    content = bytearray(archive([("a.npy", member), ("b.npy", member)]))
    first = content.index(b"PK\1\2")
    entry = len(content) - 22 - first
    content[first + 32 : first + 34] = struct.pack("<H", entry // 2)
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UsageError, match="announced 2 arrays, 1 there"):
        data.load_arrays(tmp_path / "a.npz")


def test_long_cells_and_columns_are_shown_in_part(tmp_path):
    content = f"a,{'b' * 9000}\n" + "1,2\n" * 9 + f"1,{'9' * 5000}\n"
    with pytest.raises(UsageError, match="expected a finite number") as error:
        load(tmp_path, content.encode(), "a.csv")
    assert len(str(error.value)) < 400
