"""Tables of a TOML file, read key by key: what is wrong is told with file, line and key."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from trainers.data.ingest.annotations.table import suggestion
from trainers.stage import InputError

LARGEST_BYTES = 2**20
Kind = TypeVar("Kind")
KEY = re.compile(r"(?:\"[^\"]*\"|'[^']*'|[\w-]+)")
"""One key, in quotation marks or bare."""
TYPES = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a table"}


@dataclass(frozen=True, kw_only=True)
class TomlTable:
    """A table of a TOML file.

    Attributes:
        path: of the file, for messages.
        text: of the file.
        values: what the table holds.
        name: of the table; empty for the file's own keys.
    """

    path: str
    text: str
    values: dict[str, object]
    name: str = ""

    @classmethod
    def parse(cls, text: str, path: str) -> Self:
        """The table that a file's text is.

        Raises:
            InputError: it is no TOML.
        """
        try:
            return cls(path=path, text=text, values=tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"at line (\d+)", str(error))
            reason = re.sub(r" \(at .*\)$", "", str(error))
            place = f"{path}:{line[1]}" if line else path
            raise InputError(f"{place} is no TOML ({reason}): correct the line.") from None

    def fault(self, key: str, rest: str) -> InputError:
        """An error on a key: place, key, and the rest of the sentence."""
        whole = ".".join(part for part in (self.name, key) if part)
        return InputError(
            f"{self.path}:{self._line(key)}, field {whole!r}, {rest}{'' if rest.endswith(('?', '.')) else '.'}"
        )

    def table(self, key: str) -> "TomlTable | None":
        """The table of a key; None where there is none."""
        values = self._value(key, dict)
        if values is None:
            return None
        return TomlTable(path=self.path, text=self.text, values=values, name=f"{self.name}.{key}".lstrip("."))

    def string(self, key: str, default: str = "") -> str:
        """The text of a key."""
        value = self._value(key, str)
        if value == "":
            raise self.fault(key, "is empty: give a text, or leave the key out")
        return default if value is None else value

    def strings(self, key: str) -> tuple[str, ...]:
        """The texts of a key that has a list of them, or one text; empty where the key is missing."""
        if isinstance(self.values.get(key), str):
            return (self.string(key),)
        return self._texts(key, self._value(key, list) or [])

    def lists(self, key: str) -> tuple[tuple[str, ...], ...]:
        """The lists of texts of a key; empty where the key is missing."""
        found = self._value(key, list) or []
        for each in found:
            if not isinstance(each, list):
                raise self.fault(key, f"holds {_shown(each)}, which is no list: give a list of lists of texts")
        return tuple(self._texts(key, each) for each in found)

    def number(self, key: str, *, lowest: float, highest: float) -> float | None:
        """The number of a key; None where the key is missing."""
        value = self._value(key, float)
        if value is not None and not lowest <= value <= highest:
            raise self.fault(key, f"is {value:g}: give a number from {lowest:g} to {highest:g}")
        return value

    def whole_number(self, key: str, *, lowest: int, highest: int) -> int | None:
        """The whole number of a key; None where the key is missing."""
        value = self.number(key, lowest=lowest, highest=highest)
        if value is not None and value != int(value):
            raise self.fault(key, f"is {value:g}: give a whole number")
        return None if value is None else int(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """The truth value of a key."""
        value = self._value(key, bool)
        return default if value is None else value

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """The text of a key that has to be one of some."""
        value = self.string(key, default)
        if value not in choices:
            raise self.fault(key, f"is {value!r}: {suggestion(value, choices)}")
        return value

    def refuse_unknown(self, known: Sequence[str]) -> None:
        """Refuses keys that mean nothing.

        Args:
            known: the keys that mean something.

        Raises:
            InputError: there is another one.
        """
        for key in self.values:
            if key not in known:
                raise self.fault(key, f"is no key of a description: {suggestion(key, known)}")

    def _texts(self, key: str, values: Sequence[object]) -> tuple[str, ...]:
        texts = []
        for each in values:
            if not isinstance(each, str) or not each:
                raise self.fault(key, f"holds {_shown(each)}, which is no text: put every entry into quotation marks")
            if each in texts:
                raise self.fault(key, f"names {each!r} twice: name it once")
            texts.append(each)
        return tuple(texts)

    def _value(self, key: str, kind: type[Kind]) -> Kind | None:
        value = self.values.get(key)
        if value is None:
            return None
        is_number = kind is float and isinstance(value, int | float) and not isinstance(value, bool)
        if is_number:
            return kind(value)  # type: ignore[call-arg]
        if not isinstance(value, kind):
            raise self.fault(key, f"is {_shown(value)}, {TYPES.get(type(value), 'a date')}: give {TYPES[kind]}")
        return value

    def _line(self, key: str) -> int:
        """The line of a key (1-based); that of its table where it is written another way."""
        table, last = "", 1
        for number, line in enumerate(self.text.splitlines(), start=1):
            header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line)
            table = header[1].replace('"', "") if header and "=" not in line.split("#")[0] else table
            if header and table in (self.name, f"{self.name}.{key}".lstrip(".")):
                last = number
            assigned = re.match(rf"\s*({KEY.pattern}(?:\s*\.\s*{KEY.pattern})*)\s*=", line)
            key_path = ".".join(part.strip("\"'") for part in KEY.findall(assigned[1])) if assigned else ""
            written = f"{table}.{key_path}".lstrip(".")
            if assigned and written == f"{self.name}.{key}".lstrip("."):
                return number
            if assigned and self.name and written == self.name:
                last = number
        return last


def _shown(value: object) -> str:
    return repr(value)[:60]


def read_text(path: Path) -> str:
    """The text of a small file.

    Raises:
        InputError: it cannot be read, is too large, or is no text in UTF-8.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(f"{path} is larger than {LARGEST_BYTES >> 20} MiB: name a text file.")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: name the file itself.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): name the file itself.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file in UTF-8 (byte {error.start}): save it as UTF-8.") from None
