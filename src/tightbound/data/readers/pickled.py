"""The values of a pickle, by a reader of our own that runs nothing: no class is looked up or made.

A pickle is a program for a small stack machine. Those of its operations that build numbers, texts
and containers are carried out here. What it names (a class, a function) stays a `Named`, must be
on the caller's list, and goes to the caller's own functions, which decide what stands for it.
Everything else is refused by its name.

Reference: PEP 307, PEP 3154 and the comments in the standard library's pickletools.
"""

import struct
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NamedTuple

from tightbound.core.errors import UsageError
from tightbound.data.readers.raw import shown

_REFUSED = {
    b"0": "POP", b"1": "POP_MARK", b"2": "DUP", b"F": "FLOAT", b"I": "INT", b"L": "LONG",
    b"P": "PERSID", b"S": "STRING", b"V": "UNICODE", b"d": "DICT", b"g": "GET", b"i": "INST",
    b"l": "LIST", b"o": "OBJ", b"p": "PUT", b"B": "BINBYTES", b"C": "SHORT_BINBYTES",
    b"\x81": "NEWOBJ", b"\x82": "EXT1", b"\x83": "EXT2", b"\x84": "EXT4", b"\x8b": "LONG4",
    b"\x8d": "BINUNICODE8", b"\x8e": "BINBYTES8", b"\x8f": "EMPTY_SET", b"\x90": "ADDITEMS",
    b"\x91": "FROZENSET", b"\x92": "NEWOBJ_EX", b"\x96": "BYTEARRAY8", b"\x97": "NEXT_BUFFER",
    b"\x98": "READONLY_BUFFER",
}  # fmt: skip
"""Operations that are not carried out."""
_KEYS = (str, int, float, bool, type(None))
"""Types of keys: what has no parts, so that hashing them ends."""
_NEWEST = 5  # protocol


class Named(NamedTuple):
    """What a pickle names, such as "collections.OrderedDict"; a name and nothing else."""

    name: str


class _Mark:
    """Where on the stack the parts of a container begin."""


_MARK = _Mark()


class Pickled:
    """Pickles one behind another in some bytes."""

    def __init__(
        self,
        content: bytes,
        what: str,
        *,
        allowed: Collection[str],
        call: Callable[[str, tuple[Any, ...]], Any],
        persistent: Callable[[Any], Any],
    ) -> None:
        """Begins at the first byte, and has read nothing yet.

        Args:
            content: The bytes.
            what: What they are, for errors.
            allowed: What may be named, as "module.name".
            call: What stands for a function of this name with these arguments.
            persistent: What stands for something kept outside of the pickle.
        """
        self.at = 0
        """Where the next one begins."""
        self._content, self._what, self._allowed = content, what, allowed
        self._call, self._persistent = call, persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def read(self) -> Any:
        """The values of the next pickle: plain ones, and what the caller's functions gave.

        Raises:
            UsageError: An operation or a name that is not allowed, or damaged data.
        """
        self._stack, self._memo = [], {}
        while (operation := self.take(1)) != b".":
            action = _ACTIONS.get(operation)
            if action is None:
                raise self._unknown(operation)
            action(self)
        if len(self._stack) != 1 or self._stack[0] is _MARK:
            raise self.damaged(f"{len(self._stack)} values at the end of a pickle")
        return self._stack.pop()

    @property
    def rest(self) -> int:
        """How many bytes have not been read."""
        return len(self._content) - self.at

    def take(self, size: int) -> bytes:
        """The next bytes, all of them."""
        found = self._content[self.at : self.at + size]
        if len(found) < size:
            raise self.damaged("it ends too early")
        self.at += size
        return found

    def number(self, form: str) -> Any:
        """The next number, in a form of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def damaged(self, how: str) -> UsageError:
        """The error for bytes that are no whole pickle."""
        return UsageError(
            f"{self._what}: expected a whole pickle, got data that are damaged ({how})"
        )

    def _unknown(self, operation: bytes) -> UsageError:
        if operation not in _REFUSED:
            return self.damaged(f"no operation is {operation!r}")
        return UsageError(
            f"{self._what}: expected numbers, texts, lists, tuples, dictionaries and tensors, got "
            f"a pickle with the operation {_REFUSED[operation]}, which is not carried out"
        )

    def push(self, value: Any) -> None:
        """Lays a value on the stack."""
        self._stack.append(value)

    def pop(self) -> Any:
        """Takes the last value from the stack."""
        if not self._stack or self._stack[-1] is _MARK:
            raise self.damaged("a value is missing")
        return self._stack.pop()

    def since_mark(self) -> list[Any]:
        """Takes all values since the last mark, and the mark."""
        for start in range(len(self._stack) - 1, -1, -1):
            if self._stack[start] is _MARK:
                found = self._stack[start + 1 :]
                del self._stack[start:]
                return found
        raise self.damaged("a mark is missing")

    def last(self, kind: type) -> Any:
        """The last value, which stays; a container of this type."""
        if not self._stack or type(self._stack[-1]) is not kind:
            raise self.damaged(f"a {kind.__name__} is missing")
        return self._stack[-1]

    def text(self, size: int) -> None:
        """Lays a text on the stack."""
        try:
            self.push(self.take(size).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise self.damaged("a text is not in UTF-8") from None

    def put(self, number: int) -> None:
        """Remembers the last value."""
        if not self._stack or self._stack[-1] is _MARK:
            raise self.damaged("a value is missing")
        self._memo[number] = self._stack[-1]

    def get(self, number: int) -> None:
        """Lays a remembered value on the stack."""
        if number not in self._memo:
            raise self.damaged(f"value {number} was not remembered")
        self.push(self._memo[number])

    def memoize(self) -> None:
        """Remembers the last value under the next number."""
        self.put(len(self._memo))

    def make_tuple(self, size: int) -> None:
        """Makes a tuple of the last values."""
        parts = [self.pop() for _ in range(size)]
        self.push(tuple(reversed(parts)))

    def set_items(self, items: list[Any]) -> None:
        """Puts keys and values, in turn, into the last dictionary."""
        into = self.last(dict)
        if len(items) % 2:
            raise self.damaged("a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in _KEYS:
                kind = shown(key.name if isinstance(key, Named) else type(key).__name__)
                raise UsageError(
                    f"{self._what}: expected keys that are texts or numbers, got one of type {kind}"
                )
            if key in into:
                raise self.damaged(f"a dictionary has the key {key!r:.80} twice")
            into[key] = value

    def name(self, module: Any, name: Any) -> None:
        """Lays a name on the stack, if it is allowed."""
        if type(module) is not str or type(name) is not str:
            raise self.damaged("a name is no text")
        full = f"{module}.{name}"
        if full not in self._allowed:
            raise UsageError(
                f"{self._what}: expected a state dict of tensors, got a pickle that names "
                f"{shown(full)[:120]}, which is not loaded, as it could run code; save "
                "model.state_dict() alone, with plain numbers and texts beside it"
            )
        self.push(Named(full))

    def line(self) -> str:
        """The next line, without its end."""
        end = self._content.find(b"\n", self.at)
        if end < 0:
            raise self.damaged("it ends too early")
        try:
            return self.take(end + 1 - self.at)[:-1].decode("utf-8")
        except UnicodeDecodeError:
            raise self.damaged("a name is not in UTF-8") from None

    def reduce(self) -> None:
        """What stands for a call of the function below its arguments."""
        given, function = self.pop(), self.pop()
        if type(function) is not Named or type(given) is not tuple:
            raise self.damaged("a call of what is no function")
        self.push(self._call(function.name, given))

    def build(self) -> None:
        """Attributes of an ordered dictionary, which say nothing of its entries, are left out."""
        self.pop()
        self.last(dict)

    def protocol(self) -> None:
        """The version of the format."""
        version = self.number("<B")
        if version > _NEWEST:
            raise self.damaged(f"of protocol {version}, which is not known")

    def frame(self) -> None:
        """How many bytes belong together, which are all there already."""
        if self.number("<Q") > self.rest:
            raise self.damaged("it ends too early")


def _global(machine: Pickled) -> None:
    module = machine.line()
    machine.name(module, machine.line())


def _stack_global(machine: Pickled) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


def _append(machine: Pickled) -> None:
    value = machine.pop()
    machine.last(list).append(value)


def _set_item(machine: Pickled) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items([key, value])


def _appends(machine: Pickled) -> None:
    values = machine.since_mark()
    machine.last(list).extend(values)


def _long(machine: Pickled) -> None:
    size = machine.number("<B")
    machine.push(int.from_bytes(machine.take(size), "little", signed=True))


_ACTIONS: dict[bytes, Callable[[Pickled], None]] = {
    b"\x80": Pickled.protocol,
    b"\x95": Pickled.frame,
    b"(": lambda machine: machine.push(_MARK),
    b"N": partial(Pickled.push, value=None),
    b"\x88": partial(Pickled.push, value=True),
    b"\x89": partial(Pickled.push, value=False),
    b"J": lambda machine: machine.push(machine.number("<i")),
    b"K": lambda machine: machine.push(machine.number("<B")),
    b"M": lambda machine: machine.push(machine.number("<H")),
    b"\x8a": _long,
    b"G": lambda machine: machine.push(machine.number(">d")),
    b"X": lambda machine: machine.text(machine.number("<I")),
    b"T": lambda machine: machine.text(machine.number("<I")),  # of Python 2, as U is
    b"U": lambda machine: machine.text(machine.number("<B")),
    b"\x8c": lambda machine: machine.text(machine.number("<B")),
    b"]": lambda machine: machine.push([]),
    b"}": lambda machine: machine.push({}),
    b")": lambda machine: machine.push(()),
    b"a": _append,
    b"e": _appends,
    b"s": _set_item,
    b"u": lambda machine: machine.set_items(machine.since_mark()),
    b"t": lambda machine: machine.push(tuple(machine.since_mark())),
    b"\x85": lambda machine: machine.make_tuple(1),
    b"\x86": lambda machine: machine.make_tuple(2),
    b"\x87": lambda machine: machine.make_tuple(3),
    b"q": lambda machine: machine.put(machine.number("<B")),
    b"r": lambda machine: machine.put(machine.number("<I")),
    b"\x94": Pickled.memoize,
    b"h": lambda machine: machine.get(machine.number("<B")),
    b"j": lambda machine: machine.get(machine.number("<I")),
    b"c": _global,
    b"\x93": _stack_global,
    b"R": Pickled.reduce,
    b"b": Pickled.build,
    b"Q": lambda machine: machine.push(machine._persistent(machine.pop())),
}
"""What each operation does."""
