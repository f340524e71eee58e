"""Arguments and options of a command: read by argparse, with one clear line for each error."""

import argparse
import math
from collections.abc import Callable
from typing import Any, NoReturn

from tightbound.core.budget import as_budget
from tightbound.core.calls import LARGEST, shortened
from tightbound.core.errors import UsageError, unknown
from tightbound.recipes.settings import check_whole


class Parser:
    """The arguments of one command. Options have one long name, and take the text after it."""

    def __init__(self, command: str, description: str) -> None:
        """Starts with `--json` and `--help` alone."""
        self._parser = _Quiet(
            prog=command,
            description=description,
            allow_abbrev=False,
            add_help=False,
            formatter_class=_Wide,
        )
        self._known: list[str] = []
        self._kinds: dict[str, tuple[str, Callable[[str, str], Any]]] = {}
        self._valued: set[str] = set()
        self._repeated: set[str] = set()
        self.flag("json", "Print one line of JSON, and nothing else, on standard output.")
        self.flag("help", "Print this.")

    def positional(self, name: str, text: str, *, optional: bool = False) -> None:
        """An argument by its place."""
        many = "?" if optional else None
        self._parser.add_argument(name, nargs=many, metavar=name.upper(), help=_plain(text))

    def option(
        self,
        name: str,
        text: str,
        kind: Callable[[str, str], Any] | None = None,
        default: Any = None,
    ) -> None:
        """An option with a value; `kind` makes it from its name and text."""
        flag = f"--{name.replace('_', '-')}"
        self._known.append(flag)
        self._valued.add(flag)
        if kind is not None:
            self._kinds[name] = flag, kind
        shown = text if default is None else f"{text} [default: {default}]"
        self._parser.add_argument(
            flag, dest=name, default=default, metavar="VALUE", help=_plain(shown)
        )

    def repeated(self, name: str, text: str) -> None:
        """An option with a value that may be given several times; the values as a list."""
        flag = f"--{name}"
        self._known.append(flag)
        self._valued.add(flag)
        self._repeated.add(flag)
        self._parser.add_argument(
            flag, dest=name, action="append", default=[], metavar="VALUE", help=_plain(text)
        )

    def flag(self, name: str, text: str) -> None:
        """An option without a value."""
        self._known.append(f"--{name}")
        self._parser.add_argument(f"--{name}", action="store_true", help=_plain(text))

    def read(self, arguments: list[str]) -> argparse.Namespace | None:
        """The arguments; None when help was asked for and has been printed.

        Raises:
            UsageError: Names that are not known, values that are lacking or of another kind.
        """
        if "--help" in arguments or "-h" in arguments:
            print(self._parser.format_help(), end="")
            return None
        given, strange = self._parser.parse_known_args(self._joined(arguments))
        if strange:
            first = strange[0].partition("=")[0]
            if first.startswith("-"):
                raise unknown(f"option of {self._parser.prog}", first, self._known)
            raise UsageError(
                f"{self._parser.prog} takes no further argument {shortened(first)}: "
                f"see `{self._parser.prog} --help`"
            )
        for flag in self._valued:  # argparse takes the value "--" away, and leaves a list
            value = getattr(given, flag[2:].replace("-", "_"))
            parts = value if flag in self._repeated else [value]
            if any(isinstance(part, list) for part in parts):
                raise UsageError(f"{flag} needs a value: see `{self._parser.prog} --help`")
        # Not argparse's `type`, which turns every ValueError into a message of its own.
        for name, (flag, kind) in self._kinds.items():
            if isinstance(text := getattr(given, name), str):
                setattr(given, name, kind(flag, text))
        return given

    def _joined(self, arguments: list[str]) -> list[str]:
        """An option and its value as one word, so that values may begin with a minus sign."""
        words, rest = [], iter(arguments)
        for word in rest:
            if word == "-o" and "--out" in self._valued:
                word = "--out"
            if word in self._valued:
                value = next(rest, None)
                if value is None or value in self._valued:
                    raise UsageError(f"{word} needs a value: see `{self._parser.prog} --help`")
                word = f"{word}={value}"
            words.append(word)
        return words


class _Quiet(argparse.ArgumentParser):
    """Raises where argparse prints a usage of many lines and exits."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}: see `{self.prog} --help`")


class _Wide(argparse.HelpFormatter):
    """Room for the longest option beside its text."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


def of_a_file(parser: Parser) -> None:
    """The options that say how a file of one's own is read."""
    parser.option("scale", "What its numbers are divided by; their type says it if left out.", real)
    parser.option("header", "Whether its first line names the columns: yes or no.", yes_or_no)


def whole(least: int, most: int = LARGEST) -> Callable[[str, str], int]:
    """A kind of option: a whole number between two limits."""

    def read(flag: str, text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise UsageError(f"expected {flag} as a whole number, got {shortened(text)}") from None
        check_whole(flag, number, least, most)
        return number

    return read


def wholes(least: int) -> Callable[[str, str], tuple[int, ...]]:
    """A kind of option: whole numbers with commas between them."""
    each = whole(least)
    return lambda flag, text: tuple(each(flag, part) for part in text.split(","))


def budget(flag: str, text: str) -> int | str:
    """A kind of option: a number of evaluations, or a time such as "5 min"."""
    try:
        number = int(text)
    except ValueError:
        return as_budget(text, flag)
    check_whole(flag, number, 1, LARGEST)
    return number


def real(flag: str, text: str) -> float:
    """A kind of option: a finite number."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"expected {flag} as a finite number, got {shortened(text)}")
    return number


def yes_or_no(flag: str, text: str) -> bool:
    """A kind of option: yes or no."""
    if text not in ("yes", "no"):
        raise UsageError(f"expected {flag} as yes or no, got {shortened(text)}")
    return text == "yes"


def _plain(text: str) -> str:
    """Argparse reads % in help as a format."""
    return text.replace("%", "%%")
