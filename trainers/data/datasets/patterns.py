"""Patterns of paths such as `theatre-*/{name}.mp4`: the files that match one, and the name that each of them gives."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainers.data.datasets.recordings import visible_entries
from trainers.stage import InputError

PLACEHOLDER = re.compile(r"\{(name|video|frame)(?::([^{}]+))?\}")
ANY_DEPTH = "**"


@dataclass(frozen=True)
class Found:
    """A file or folder that matches a pattern."""

    path: Path
    name: str
    """What it has in the place of `{name}`; empty where the pattern has none."""


@dataclass(frozen=True)
class Pattern:
    """Pattern of paths below a folder.

    `*`, `?` and `[…]` are those of a shell, `**` stands for folders at any depth, `{name}` for the name of the video
    (`{video}` is the same), `{name:op*}` for a name like that, and `{frame}` for the number of an image. Upper and
    lower case make no difference in an ending such as `.mp4`; the ending `.*` is any of those that are asked for.
    """

    text: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts between slashes."""
        return tuple(part for part in self.text.split("/") if part not in ("", "."))

    @property
    def last(self) -> str:
        """The last part as messages show it, `video*.mp4` for `{name:video*}.mp4`."""
        return re.sub(r"\{(?:name|video):([^{}]+)\}", r"\1", self.parts[-1])

    def has(self, placeholder: str) -> bool:
        """Whether the pattern has a placeholder."""
        return any(_canonical(match[1]) == placeholder for match in PLACEHOLDER.finditer(self.text))

    def check(self, *, frames: bool) -> None:
        """Refuses a pattern that cannot tell one video from another.

        Args:
            frames: whether it is one of images.

        Raises:
            InputError: the rest of a sentence that begins with the place of the pattern.
        """
        rest = PLACEHOLDER.sub("", self.text)
        if "\\" in self.text:
            raise InputError(f"is {self.text!r}: put / between folders, on every system")
        if not self.parts or self.text.startswith(("/", "~")) or ".." in self.parts:
            raise InputError(f"is {self.text!r}: give a path below the folder of the dataset")
        if "{" in rest or "}" in rest:
            raise InputError(f"is {self.text!r}: the placeholders are {{name}}, {{name:LIKE*}} and {{frame}}")
        if not self.has("name"):
            raise InputError(f"is {self.text!r}, without {{name}}: put it where a path has the name of the video")
        if frames != self.has("frame"):
            what = "without {frame}: put it where an image has its number" if frames else "with {frame}: leave it out"
            raise InputError(f"is {self.text!r}, {what}")
        if frames and not PLACEHOLDER.search(self.parts[-1]):
            raise InputError(f"is {self.text!r}: {{frame}} has to be in the name of the image, after the last '/'")

    def find(self, root: Path, suffixes: Sequence[str] = ()) -> list[Found]:
        """The files and folders below `root` that match, by name and then by path; hidden ones do not.

        Args:
            root: the folder.
            suffixes: the endings, in lower case, that `.*` at the end stands for; any where empty.
        """
        found = {each.path: each for each in _search(root, self.parts, "", tuple(suffixes))}
        return sorted(found.values(), key=lambda each: (each.name, each.path))

    def folders(self, root: Path) -> list[Path]:
        """The folders in which files that match would lie."""
        return sorted({each.path for each in _search(root, self.parts[:-1], "", ())}) if self.parts[1:] else [root]

    def missing_part(self, root: Path) -> str:
        """The first folders below `root` that nothing matches, such as `videos/`; empty where all are there."""
        for length in range(1, len(self.parts)):
            if not any(each.path.is_dir() for each in _search(root, self.parts[:length], "", ())):
                return "/".join(self.parts[:length]) + "/"
        return ""


def regex_of(part: str, name: str = "", suffixes: Sequence[str] = ()) -> re.Pattern[str]:
    """The regular expression of one part of a pattern, with groups `name` and `frame`.

    Args:
        part: the part.
        name: what `{name}` has to be; anything where empty.
        suffixes: what `.*` at the end stands for; any where empty.
    """
    body, suffix = _suffix(part, suffixes)
    expression, position = "", 0
    for match in PLACEHOLDER.finditer(body):
        expression += _glob(body[position : match.start()]) + _group(match, expression, name)
        position = match.end()
    return re.compile(expression + _glob(body[position:]) + suffix, re.DOTALL)


def _search(folder: Path, parts: Sequence[str], name: str, suffixes: Sequence[str]) -> Iterator[Found]:
    if not parts:
        yield Found(folder, name)
        return
    if not folder.is_dir():
        return
    first, rest = parts[0], parts[1:]
    if first == ANY_DEPTH:
        yield from _search(folder, rest or ["*"], name, suffixes)
        for entry in _entries(folder):
            if entry.is_dir() and not entry.is_symlink():
                yield from _search(entry, parts, name, suffixes)
        return
    expression = regex_of(first, name, () if rest else suffixes)
    for entry in _entries(folder):
        match = expression.fullmatch(entry.name)
        if match:
            yield from _search(entry, rest, name or match.groupdict().get("name", ""), suffixes)


def _entries(folder: Path) -> list[Path]:
    try:
        return visible_entries(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}): let this user read it.") from None


def _canonical(placeholder: str) -> str:
    return "name" if placeholder == "video" else placeholder


def _group(match: re.Match[str], before: str, name: str) -> str:
    """The expression of a placeholder after the expression of what is before it."""
    placeholder = _canonical(match[1])
    if f"(?P<{placeholder}>" in before:
        return f"(?P={placeholder})"
    if placeholder == "frame":
        return r"(?P<frame>\d+)"
    return f"(?P<name>{re.escape(name) if name else _glob(match[2] or '*') if match[2] else '.+'})"


def _suffix(part: str, suffixes: Sequence[str]) -> tuple[str, str]:
    """A part without its ending, and the expression of the ending."""
    if part.endswith(".*"):
        ending = "|".join(map(re.escape, suffixes))
        return part[:-2], f"(?i:{ending})" if ending else r"\.[^.]+"
    stem, dot, ending = part.rpartition(".")
    if dot and ending.isalnum():
        return stem, f"(?i:{re.escape(dot + ending)})"
    return part, ""


def _glob(text: str) -> str:
    """The expression of a piece of a pattern without placeholders."""
    pieces = re.findall(r"\[[^\]]+\]|.", text, re.DOTALL)
    known = {"*": ".*", "?": "."}
    return "".join(
        f"[{'^' if piece[1] in '!^' else ''}{_escaped_set(piece[1:-1].lstrip('!^'))}]"
        if len(piece) > 1
        else known.get(piece, re.escape(piece))
        for piece in pieces
    )


def _escaped_set(content: str) -> str:
    return content.replace("\\", r"\\").replace("[", r"\[")
