"""Scan of a pickle before anything reads it: the classes it names, and whether its tuples nest without end."""

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING  # torch writes the names of Python 2
from collections.abc import Iterator
from typing import IO

DEEPEST_TUPLE = 16
"""Levels of tuples in tuples; a tensor takes three. As a key, n levels of pairs take 2ⁿ steps to look up."""

PUTS, GETS = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}
MARK = -1


class TooDeepError(ValueError):
    """Tuples nest deeper than those of any checkpoint."""


def named_objects(stream: IO[bytes], num_pickles: int) -> set[str]:
    """The names of classes and functions in pickles that follow each other; nothing of them is looked up.

    A damaged pickle gives the names that come before the damage.

    Raises:
        TooDeepError: tuples nest in it without end.
    """
    named: set[str] = set()
    try:
        for _ in range(num_pickles):
            named.update(_names(stream))
    except TooDeepError:
        raise
    except (ValueError, LookupError, OverflowError, MemoryError):
        pass  # torch says what is wrong with it
    return named


def _names(stream: IO[bytes]) -> Iterator[str]:
    depths, texts = _Depths(), ["", ""]
    for opcode, argument, _ in pickletools.genops(stream):
        depths.see(opcode, argument)
        if opcode.name in ("GLOBAL", "INST"):
            module, _, name = str(argument).partition(" ")
            yield ".".join(NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name)))
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(texts)
        elif isinstance(argument, str):
            texts = [texts[-1], argument]


class _Depths:
    """The stack and the memo of a pickle, of which only the depths of tuples are kept."""

    def __init__(self) -> None:
        self._stack: list[int] = []
        self._memo: dict[object, int] = {}

    def see(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        """Takes a step of the pickle.

        Raises:
            TooDeepError: it makes a tuple that is too deep.
        """
        if opcode.name in PUTS or opcode.name == "MEMOIZE":
            self._memo[len(self._memo) if opcode.name == "MEMOIZE" else argument] = self._stack[-1]
            return
        taken = self._taken(opcode)
        if opcode.name in GETS:
            self._stack.append(self._memo[argument])
        elif "TUPLE" in opcode.name:
            self._stack.append(1 + max(taken, default=0))
        elif opcode.name == "DUP":
            self._stack += taken * 2
        else:
            self._stack += [MARK if each is pickletools.markobject else 0 for each in opcode.stack_after]
        if self._stack and self._stack[-1] > DEEPEST_TUPLE:
            raise TooDeepError

    def _taken(self, opcode: pickletools.OpcodeInfo) -> list[int]:
        before, taken = opcode.stack_before, []
        if pickletools.markobject in before:
            while (each := self._stack.pop()) != MARK:
                taken.append(each)
        beneath = before.index(pickletools.markobject) if pickletools.markobject in before else len(before)
        return taken + [self._stack.pop() for _ in range(beneath)]
