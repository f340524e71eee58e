"""Checkpoints of PyTorch, written by itself and by hand: what is read, and what is refused."""

import io
import struct
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.faults.damage import damaged

from tightbound.core.errors import UsageError
from tightbound.data import load_arrays, load_torch
from tightbound.data.readers.torch_files import parse_torch
from tightbound.networks import dense_from_state_dict, mlp_from_state_dict

FILES = Path(__file__).parent / "checkpoints"
BOTH = pytest.mark.parametrize("kind", ["zip", "legacy"])
GRID = np.arange(24, dtype=np.float32).reshape(4, 6)
NESTED = [{"a": np.ones(2, np.float32), "b": None}, (1, 2.5, "text", True, -(2**70))]
VALUES = {
    "float32": GRID / 8,
    "float64": np.array([0.1, -1e300]),
    "float16": np.array([0.5, -65504.0], np.float32),
    "bfloat16": np.array([1.0, -2.5, 3.140625], np.float32),
    "int64": np.array([2**62, -3]),
    "int32": np.array([[7]], np.int32),
    "int16": np.array([-300, 300], np.int16),
    "int8": np.array([-128], np.int8),
    "uint8": np.array([0, 255], np.uint8),
    "bool": np.array([True, False, True]),
    "complex64": np.array([1 + 2j], np.complex64),
    "complex128": np.array([1 - 2j]),
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "transposed": GRID.T,
    "stepped": GRID[1::2, ::3],
    "expanded": np.full((2, 3), 3.0, np.float32),
    "row": GRID[2],
    "parameter": np.array([1.0, 2.0], np.float32),
    "nested": NESTED,
    "size": (2, 3),
    7: {"step": np.array(3.0, np.float32)},
}
"""What `checkpoints/make.py` wrote."""


def same(found, expected):
    """Whether two nested containers have the same types, keys in their order, and numbers."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(same(found[k], expected[k]) for k in expected)
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, np.ndarray):
        alike = (found.dtype, found.shape) == (expected.dtype, expected.shape)
        return alike and np.array_equal(found, expected)
    return found == expected


@BOTH
def test_values_of_every_type_and_layout_come_back(kind):
    found = load_torch(str(FILES / f"values_{kind}.pt"))
    assert list(found) == list(VALUES)
    for name, expected in VALUES.items():
        assert same(found[name], expected), name
    assert found["transposed"].flags.c_contiguous
    found["row"][:] = 0  # an array of its own, though PyTorch's are one storage
    assert same(found["transposed"], GRID.T)


def test_what_tells_a_wrong_answer_from_a_right_one():
    assert same(NESTED, NESTED)
    assert not same(NESTED, [*NESTED, 1])
    assert not same(np.ones(2), np.ones(2, np.float32))
    assert not same({"a": 1}, {"a": 2})


def test_other_protocols_and_unsigned_numbers_are_read():
    assert same(load_torch(FILES / "protocol5_zip.pt"), NESTED)
    unsigned = load_torch(FILES / "unsigned_zip.pt")
    assert same(unsigned, {"w": np.array([1, 65535], np.uint16)})


@BOTH
def test_networks_are_made_of_a_state_dict_inside_a_checkpoint(kind):
    checkpoint = load_torch(FILES / f"network_{kind}.pt")
    assert checkpoint["epoch"] == 12
    assert checkpoint["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.999)
    arrays = checkpoint["model"]
    x = jnp.array([0.5, -1.0, 0.25])
    hidden = np.tanh(arrays["0.weight"] @ x + arrays["0.bias"])
    trunk = mlp_from_state_dict(arrays, ["0"])
    np.testing.assert_allclose(trunk(x), hidden, rtol=1e-5)
    np.testing.assert_allclose(
        dense_from_state_dict(arrays, "2")(trunk(x)),
        arrays["2.weight"] @ hidden + arrays["2.bias"],
        rtol=1e-5,
    )
    with pytest.raises(UsageError, match=r"got model, optimizer, epoch; it is in the dictionary"):
        dense_from_state_dict(checkpoint, "2")


def test_a_state_dict_is_the_same_from_either_format(tmp_path):
    arrays = {name: VALUES[name] for name in ("float32", "float64", "int64", "bool", "empty")}
    save_file(
        arrays | {"float16": VALUES["float16"].astype(np.float16)}, tmp_path / "a.safetensors"
    )
    other = load_arrays(tmp_path / "a.safetensors")
    found = load_torch(FILES / "values_zip.pt")
    assert same({name: found[name] for name in other}, other)


@BOTH
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("float8", r"one of float64, .*, got one of float8_e4m3fn; convert it to float32"),
        ("module", r"names torch\.nn\.modules\.linear\.Linear, which is not loaded"),
    ],
)
def test_what_cannot_be_read_is_named(name, message, kind):
    with pytest.raises(UsageError, match=message):
        load_torch(FILES / f"{name}_{kind}.pt")


def test_numbers_that_are_conjugated_later_are_refused():
    with pytest.raises(UsageError, match=r"save tensor\.resolve_conj"):
        load_torch(FILES / "conjugate_zip.pt")


def archive(pickle, storages=(), *, names=("data.pkl", "data/{}"), method=0, **notes):
    """A file as PyTorch's new format, of any pickle and storages."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr(f"archive/{names[0]}", pickle)
        for key, content in enumerate(storages):
            file.writestr(f"archive/{names[1].format(key)}", content)
        for name, text in notes.items():
            file.writestr(f"archive/{name}", text)
    return buffer.getvalue()


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def numbers(*values):
    return (
        b"(" + b"".join(b"\x8a\x09" + v.to_bytes(9, "little", signed=True) for v in values) + b"t"
    )


def storage(size, kind="FloatStorage", key="0", view=b""):
    named = f"ctorch\n{kind}\n".encode()
    size = numbers(size)[1:-1]
    return b"(" + text("storage") + named + text(key) + text("cpu") + size + view + b"tQ"


def tensor(of, offset, shape, strides):
    begin = b"ctorch._utils\n_rebuild_tensor_v2\n("
    hooks = b"\x89ccollections\nOrderedDict\n)Rt"
    return begin + of + numbers(offset)[1:-1] + numbers(*shape) + numbers(*strides) + hooks + b"R"


FOUR = np.arange(4, dtype="<f4")
WHOLE = tensor(storage(4), 0, (2, 2), (2, 1))


def test_files_by_hand_are_read_and_the_order_of_bytes_is_theirs():
    expected = FOUR.reshape(2, 2)
    assert same(parse_torch(archive(WHOLE + b".", [FOUR.tobytes()]), "it"), expected)
    big = archive(WHOLE + b".", [FOUR.astype(">f4").tobytes()], byteorder="big", version="3\n")
    assert same(parse_torch(big, "it"), expected)
    backwards = tensor(storage(4), 1, (3, 2), (1, 0))
    assert same(
        parse_torch(archive(backwards + b".", [FOUR.tobytes()]), "it"),
        np.array([[1, 1], [2, 2], [3, 3]], np.float32),
    )


def legacy(pickle, storages, *, little=b"\x88", protocol=1001):
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    system = b"}" + text("little_endian") + little + b"s."
    keys = b"](" + b"".join(text(key) for key in storages) + b"e."
    raw = b"".join(struct.pack("<q", len(v)) + v.tobytes() for v in storages.values())
    begin = magic + b"M" + struct.pack("<H", protocol) + b"." + system
    return begin + pickle + keys + raw


def test_parts_of_a_storage_as_the_oldest_files_have_them():
    view = b"(" + text("part") + numbers(1, 3)[1:-1] + b"t"
    part = tensor(storage(4, view=view), 1, (2,), (1,))
    nested = b"ccollections\nOrderedDict\n](](U\x01w" + part + b"ee\x85R."
    assert same(parse_torch(legacy(nested, {"0": FOUR}), "it"), {"w": FOUR[2:]})
    beyond = tensor(storage(4, view=view), 1, (3,), (1,))
    with pytest.raises(UsageError, match="reaches beyond its storage of 3"):
        parse_torch(legacy(beyond + b".", {"0": FOUR}), "it")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cos\nsystem\n" + text("true") + b"\x85R.", r"names os\.system, which is not loaded"),
        (b"c__builtin__\neval\n.", r"names __builtin__\.eval"),
        (text("builtins") + text("exec") + b"\x93.", r"names builtins\.exec"),
        (b"ccollections\nOrderedDict\n)\x81.", "operation NEWOBJ, which is not carried out"),
        (b"(S'a'\nios\nsystem\n.", "operation STRING"),
        (b"(ios\nsystem\n.", "operation INST"),
        (b"C\x01a.", "operation SHORT_BINBYTES"),
        (b"\xff.", "no operation is"),
        (b"K\x01K\x02.", "2 values at the end"),
        (b"(.", "1 values at the end"),
        (b"h\x05.", "value 5 was not remembered"),
        (b"0.", "operation POP"),
        (b"e.", "a mark is missing"),
        (b"a.", "a value is missing"),
        (b"(t(K\x01e.", "a list is missing"),
        (b"}(K\x01u.", "a key without a value"),
        (b"}K\x01K\x02sK\x01K\x03s.", "the key 1 twice"),
        (b"})K\x01s.", "keys that are texts or numbers, got one of type tuple"),
        (b"X\xff\xff\xff\x7fab.", "it ends too early"),
        (b"U\x01\xff.", "a text is not in UTF-8"),
        (b"cnothing", "it ends too early"),
        (b"\x80\x09N.", "of protocol 9"),
        (b"\x95\xff\xff\xff\xff\xff\xff\xff\xffN.", "it ends too early"),
        (b"K\x01K\x02R.", "a call of what is no function"),
        (b"ccollections\nOrderedDict\nK\x01\x85R.", "a call of collections.OrderedDict with other"),
        (b"]q\x00h\x00a.", "containers within each other"),
        (b"]" * 200 + b"a" * 199 + b".", "more than 100 deep"),
        (b"](K\x01K\x01e" + b"2" + b".", "operation DUP"),
        (b"ctorch\nfloat32\n.", "got torch.float32 among the values"),
        (storage(4) + b".", "got a storage among the values"),
        (b"K\x01Q.", "outside of the pickle is no storage"),
        (b"N.N.", "2 bytes behind the end"),
        (storage(-4) + b".", "outside of the pickle is no storage"),
        (tensor(storage(4), 1, (2, 2), (2, 1)), "reaches beyond its storage of 4"),
        (tensor(storage(4), 0, (2, 2), (3, 1)), "reaches beyond its storage of 4"),
        (tensor(storage(4), -1, (2,), (1,)), "shape and strides are none"),
        (tensor(storage(4), 3, (4,), (-1,)), "shape and strides are none"),
        (tensor(storage(4), 0, (2, 2), (1,)), "shape and strides are none"),
        (tensor(storage(4), 0, (1,) * 40, (1,) * 40), "shape and strides are none"),
        (tensor(storage(4), 0, (2**33, 2**33), (0, 0)), "at most 200 times the file's size"),
        (tensor(storage(4), 0, (0, 2**65), (1, 1)), "at most 200 times the file's size"),
        (tensor(storage(5), 0, (5,), (1,)), "announced 20 bytes of data/0, 16 there"),
        (tensor(storage(4, key="1"), 0, (4,), (1,)), "KeyError"),
        (tensor(storage(4, key="../0"), 0, (4,), (1,)), "KeyError"),
        (tensor(storage(4, "QInt8Storage"), 0, (4,), (1,)), "got one of qint8"),
        (b"](" + WHOLE + tensor(storage(2, "LongStorage"), 0, (2,), (1,)) + b"e", "in two ways"),
    ],
)
def test_hostile_pickles_are_refused_in_one_line(content, message):
    content = content if content.endswith(b".") else content + b"."
    with pytest.raises(UsageError, match=message) as error:
        parse_torch(archive(content, [FOUR.tobytes()]), "it")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500


def test_values_that_multiply_are_refused():
    laughs = b"(]q\x00"
    for _ in range(30):  # each holds the one before twice
        laughs += b"]q\x01(h\x00h\x00eq\x00"
    with pytest.raises(UsageError, match="more than 10,000,000 values"):
        parse_torch(archive(laughs + b"t."), "it")


def test_a_member_without_bytes_and_without_a_checksum_is_refused():
    """An archive's entry that is overwritten with zeros has the checksum of nothing."""
    content = bytearray(archive(WHOLE + b".", [FOUR.tobytes()]))
    entry = content.rindex(b"PK\1\2")
    content[entry + 16 : entry + 24] = bytes(8)  # checksum and packed size
    with pytest.raises(UsageError, match="announced 16 bytes of data/0, 0 there"):
        parse_torch(bytes(content), "it")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive(b"N.", names=("other.pkl", "{}")), "without a data.pkl"),
        (archive(b"N.", **{"constants.pkl": "N."}), "a program of TorchScript"),
        (archive(b"N.", method=zipfile.ZIP_DEFLATED), "an archive that is compressed"),
        (archive(b"N.", version="11"), "of version 11"),
        (archive(b"N.", byteorder="middle"), "of byte order middle"),
        (legacy(b"N.", {"0": FOUR}), "the storages are others"),
        (legacy(WHOLE + b".", {}), "the storages are others"),
        (legacy(WHOLE + b".", {"0": FOUR[:3]}), "announced 3 numbers, 4 expected"),
        (legacy(WHOLE + b".", {"0": FOUR}) + b"x", "1 bytes behind its end"),
        (legacy(b"N.", {}, protocol=1002), "of protocol 1002, expected 1001"),
        (legacy(b"N.", {}, little=b"\x89"), "of a little-endian machine"),
        (b"\0" * 257 + b"ustar" + b"\0" * 250, "got the tar format before it"),
        (b"\x80\x04N.", "got a pickle of something else"),
        (b"text", "got another format; .safetensors and .npz are read by tb.data.load_arrays"),
    ],
)
def test_other_files_are_refused_in_words(content, message):
    with pytest.raises(UsageError, match=message):
        parse_torch(content, "it")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"a\.pt: no such file"):
        load_torch(tmp_path / "a.pt")


@pytest.mark.parametrize("kind", ["values_zip", "values_legacy", "network_legacy"])
def test_truncated_files_are_refused(kind):
    content = (FILES / f"{kind}.pt").read_bytes()
    for size in range(0, len(content), 41):
        with pytest.raises(UsageError) as error:
            parse_torch(content[:size], "it")
        assert str(error.value).isprintable()


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_damage_is_refused_or_changes_numbers_alone(kind):
    content = (FILES / f"values_{kind}.pt").read_bytes()
    rng = np.random.default_rng(3)
    read = 0
    for _ in range(150):
        how, changed = damaged(content, rng)
        try:
            found = parse_torch(changed, "it")
        except UsageError as error:
            refused = str(error)
        else:
            refused, read = "", read + 1
            assert kind == "legacy" or same(found, VALUES), how  # an archive has checksums
        assert refused == "" or refused.isprintable(), how
        assert len(refused) < 1000, how
    assert read < 150
