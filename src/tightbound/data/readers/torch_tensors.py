"""What a PyTorch pickle names, as plain values: storages, tensors that look into them, containers.

While the pickle is read, a tensor is a description of where its numbers lie; they are taken from
the storage afterwards, when all bounds are known.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.data.readers.pickled import Named
from tightbound.data.readers.raw import shown

_FORMS = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2", "int64": "i8",
    "int32": "i4", "int16": "i2", "int8": "i1", "uint64": "u8", "uint32": "u4", "uint16": "u2",
    "uint8": "u1", "bool": "u1", "complex64": "c8", "complex128": "c16",
}  # fmt: skip
"""NumPy's name of each type that is read; bfloat16 is the upper half of a float32."""
_OTHERS = (
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
    "float4_e2m1fn_x2", "complex32", "qint8", "quint8", "qint32", "quint4x2", "quint2x4",
)  # fmt: skip
"""Types that PyTorch has and nothing here reads."""
_STORAGES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16",
    "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8",
    "Bool": "bool", "ComplexFloat": "complex64", "ComplexDouble": "complex128",
    "QInt8": "qint8", "QUInt8": "quint8", "QInt32": "qint32", "QUInt4x2": "quint4x2",
    "QUInt2x4": "quint2x4",
}  # fmt: skip
"""The type of the numbers in each class of storages."""
_BYTES = "torch.storage.UntypedStorage"
TYPES = {f"torch.{name}Storage": kind for name, kind in _STORAGES.items()} | {
    _BYTES: "uint8",
    "torch.UntypedStorage": "uint8",
}
_REBUILD = "torch._utils._rebuild_"
ALLOWED = frozenset(
    {
        "collections.OrderedDict", "torch.Size", f"{_REBUILD}tensor", f"{_REBUILD}tensor_v2",
        f"{_REBUILD}tensor_v3", f"{_REBUILD}parameter", *TYPES,
        *(f"torch.{kind}" for kind in (*_FORMS, *_OTHERS)),
    }
)  # fmt: skip
"""All that a PyTorch pickle may name."""
_LARGE = 2**30  # bytes of arrays from which their sizes must be plausible
_RATIO = 200  # of them to the file's; a tensor may repeat its numbers
_DIMENSIONS = 32
_DEPTH = 100  # of containers in each other
_MANY = 10**7  # values, each counted as often as it appears


class Storage(NamedTuple):
    """Numbers one behind another, outside of the pickle."""

    key: str
    kind: str
    size: int
    """How many numbers."""
    start: int
    """Of a part of a storage: where it begins."""
    whole: int
    """How many numbers the storage has of which it is a part."""

    @property
    def nbytes(self) -> int:
        """Bytes of the storage of which it is a part."""
        return self.whole * np.dtype(_FORMS[self.kind]).itemsize


class Tensor(NamedTuple):
    """A view of a storage: entry i lies at `offset + sum(i * strides)`."""

    storage: Storage
    kind: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Tensors:
    """Describes the storages and tensors of one file, and makes arrays of them."""

    def __init__(self, what: str, size: int) -> None:
        """Takes what the file is called in errors, and its bytes."""
        self.storages: dict[str, Storage] = {}
        """By their keys."""
        self._what, self._left = what, max(_LARGE, _RATIO * size)

    def persistent(self, given: Any) -> Storage:
        """The storage that a pickle points to."""
        match given:
            case ("storage", Named(name), str(key), str(), size, *view) if (
                name in TYPES and _natural(size) and len(view) < 2
            ):
                return self._storage(key, TYPES[name], size, view[0] if view else None)
            case ("module", *_):
                raise UsageError(
                    f"{self._what}: expected a state dict of tensors, got a whole module with its "
                    "code; save model.state_dict() alone"
                )
        raise self.damaged("what lies outside of the pickle is no storage")

    def _storage(self, key: str, kind: str, size: int, view: Any) -> Storage:
        if kind not in _FORMS:
            raise self._unreadable(kind)
        storage = Storage(key, kind, size, 0, size)
        known = self.storages.setdefault(key, storage)
        if known != storage:
            raise self.damaged(f"storage {shown(key)[:80]!r} is described in two ways")
        match view:
            case None:
                return storage
            case (str(), start, length) if (
                _natural(start) and _natural(length) and start + length <= size
            ):
                return Storage(key, kind, length, start, size)
        raise self.damaged(f"a part of storage {shown(key)[:80]!r} does not lie in it")

    def call(self, name: str, given: tuple[Any, ...]) -> Any:
        """What stands for a call in the pickle: a description, or a plain container."""
        match name.removeprefix(_REBUILD), given:
            case "collections.OrderedDict", ():
                return {}
            case "collections.OrderedDict", ([*pairs],) if all(map(_is_pair, pairs)):
                found = dict(pairs)  # as Python 2 wrote them
                if len(found) == len(pairs):
                    return found
            case "torch.Size", (tuple(shape),) if all(map(_natural, shape)):
                return shape
            case "tensor", (Storage() as storage, offset, shape, strides):
                return self._tensor(storage, storage.kind, offset, shape, strides)
            case "tensor_v2", (Storage() as storage, offset, shape, strides, bool(), {}, *more):
                self._without(more)
                return self._tensor(storage, storage.kind, offset, shape, strides)
            case (
                "tensor_v3",
                (Storage() as storage, offset, shape, strides, bool(), {}, Named(kind), *more),
            ) if storage.kind == "uint8" and kind.removeprefix("torch.") in (*_FORMS, *_OTHERS):
                self._without(more)
                return self._tensor(storage, kind.removeprefix("torch."), offset, shape, strides)
            case "parameter", (Tensor() as tensor, bool(), {}):
                return tensor
        raise self.damaged(f"a call of {name} with other arguments than PyTorch's")

    def _without(self, more: list[Any]) -> None:
        """Refuses what PyTorch does only when a tensor is used."""
        match more:
            case []:
                return
            case [dict(settings)] if not settings:
                return
            case [dict(settings)] if settings.keys() <= {"conj", "neg"}:
                raise UsageError(
                    f"{self._what}: expected tensors with their numbers, got one that is to be "
                    "conjugated or negated; save tensor.resolve_conj().resolve_neg()"
                )
        raise self.damaged("a tensor with settings that are not known")

    def _tensor(self, storage: Storage, kind: str, offset: Any, shape: Any, strides: Any) -> Tensor:
        """A tensor's description, every bound of which is that of its storage."""
        if kind not in _FORMS:
            raise self._unreadable(kind)
        sizes = (offset, *shape, *strides) if type(shape) is type(strides) is tuple else (None,)
        if not all(map(_natural, sizes)) or not len(shape) == len(strides) <= _DIMENSIONS:
            raise self.damaged("a tensor's shape and strides are none")
        size = np.dtype(_FORMS[kind]).itemsize
        room = storage.size * np.dtype(_FORMS[storage.kind]).itemsize // size
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if math.prod(shape) and last >= room:
            raise self.damaged(f"a tensor of shape {shape} reaches beyond its storage of {room:,}")
        self._left -= math.prod(max(n, 1) for n in shape) * max(size, 4)
        if self._left < 0:
            raise UsageError(
                f"{self._what}: expected tensors of at most {_RATIO} times the file's size, got "
                "more, which repeat their numbers; save tensor.contiguous()"
            )
        return Tensor(storage, kind, offset, shape, strides)

    def plain(self, found: Any, numbers: Callable[[str], bytes], order: str = "<") -> Any:
        """The values with arrays in place of descriptions.

        Args:
            found: What the pickle held.
            numbers: Gives the bytes of a storage by its key.
            order: Of the bytes of a number, as NumPy calls it.

        Raises:
            UsageError: A storage or a class among the values, or containers without an end.
        """
        done: dict[int, tuple[Any, int]] = {}

        def each(value: Any, depth: int) -> tuple[Any, int]:
            """The value, and how many values are in it."""
            if type(value) in (str, int, float, bool, type(None)):
                return value, 1
            if id(value) in done:
                return done[id(value)]
            if depth == _DEPTH:
                raise self.damaged(f"containers within each other, or more than {_DEPTH} deep")
            if type(value) is Tensor:
                result = _array(value, numbers(value.storage.key), order), 1
            elif type(value) in (dict, list, tuple):
                values = value.values() if type(value) is dict else value
                parts = [each(part, depth + 1) for part in values]
                whole = [part for part, _ in parts]
                count = 1 + sum(count for _, count in parts)
                if count > _MANY:
                    raise self.damaged(f"more than {_MANY:,} values")
                made = dict(zip(value, whole, strict=True)) if type(value) is dict else whole
                result = tuple(whole) if type(value) is tuple else made, count
            else:
                kind = value.name if type(value) is Named else f"a {type(value).__name__.lower()}"
                raise UsageError(
                    f"{self._what}: expected numbers, texts, containers and tensors, got {kind} "
                    "among the values"
                )
            done[id(value)] = result
            return result

        return each(found, 0)[0]

    def damaged(self, how: str) -> UsageError:
        """The error for a file that is none of PyTorch's."""
        return UsageError(
            f"{self._what}: expected a checkpoint as PyTorch writes it, got data that are damaged "
            f"({shown(how)[:160]})"
        )

    def _unreadable(self, kind: str) -> UsageError:
        return UsageError(
            f"{self._what}: expected tensors of one of {', '.join(_FORMS)}, got one of {kind}; "
            "convert it to float32 first"
        )


def _array(tensor: Tensor, content: bytes, order: str) -> np.ndarray:
    """The numbers in an array of its own; half precision as float32, which changes no value."""
    storage, kind = tensor.storage, np.dtype(order + _FORMS[tensor.kind])
    start = storage.start * np.dtype(_FORMS[storage.kind]).itemsize
    if not math.prod(tensor.shape):
        array = np.zeros(tensor.shape, kind)
    else:
        strides = [stride * kind.itemsize for stride in tensor.strides]
        at = start + tensor.offset * kind.itemsize
        array = np.ndarray(tensor.shape, kind, content, at, strides).copy("C")
    array = array.astype(kind.newbyteorder("="))
    if tensor.kind == "bool":
        return array != 0  # a byte that is neither 0 nor 1 is true, as for PyTorch
    if tensor.kind == "bfloat16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32) if tensor.kind == "float16" else array


def _natural(number: Any) -> bool:
    return type(number) is int and number >= 0


def _is_pair(value: Any) -> bool:
    return type(value) in (list, tuple) and len(value) == 2 and type(value[0]) in (str, int)
