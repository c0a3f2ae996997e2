"""Covers methods of libraries, on their classes or on one object, and uncovers them.

A library that is not imported yet is covered when it is: `instrument` imports nothing, because
importing every library that happens to be installed takes seconds.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Protocol

from llmscope._instrumentation.guard import guarded

Undo = Callable[[], None]
# A method as its library wrote it -> the same, recorded.
Cover = Callable[[Callable[..., Any]], Callable[..., Any]]
_ORIGINAL = "_llmscope_original"


class Place(Protocol):
    """Where calls pass in a module of a library."""

    @property
    def module(self) -> str:
        """The module's full name."""

    def cover(self, module: Any) -> Undo:
        """Record what passes from here on."""


@dataclass(frozen=True, eq=False)
class Methods:
    """Methods of a class. Classes that derive from it are covered with it."""

    module: str
    owner: str
    covers: Mapping[str, Cover]

    def cover(self, module: Any) -> Undo:
        """Cover them on the class; what this version of the library has not is left out."""
        owner = getattr(module, self.owner, None)
        members = vars(owner) if owner is not None else {}
        originals = {name: members[name] for name in self.covers if name in members}
        for name, original in originals.items():
            setattr(owner, name, _marked(self.covers[name], original))
        return functools.partial(_put_back, owner, originals)

    def owns(self, part: Any) -> bool:
        """Whether an object is of the class. Imports nothing."""
        kinds = type(part).__mro__
        return any(k.__module__ == self.module and k.__name__ == self.owner for k in kinds)

    def cover_object(self, part: Any) -> None:
        """Cover them on one object. Where its class is covered as well, it is recorded once."""
        for name, cover in self.covers.items():
            method = getattr(type(part), name, None)
            if method is not None:
                original = getattr(method, _ORIGINAL, method)
                setattr(part, name, types.MethodType(_marked(cover, original), part))


def _put_back(owner: Any, originals: Mapping[str, Any]) -> None:
    for name, original in originals.items():
        setattr(owner, name, original)


def _marked(cover: Cover, original: Callable[..., Any]) -> Callable[..., Any]:
    covered = cover(original)
    setattr(covered, _ORIGINAL, original)
    return covered


class Coverage:
    """What is covered now, and what will be once it is imported."""

    def __init__(self) -> None:
        self._undos: dict[Place, Undo] = {}
        self._awaited: dict[str, list[Place]] = {}

    def add(self, places: Sequence[Place]) -> None:
        """Cover places, now or when they are imported; again is no harm."""
        for place in places:
            waiting = self._awaited.setdefault(place.module, [])
            if place in self._undos or place in waiting:
                continue
            module = sys.modules.get(place.module)
            if module is not None:
                self._undos[place] = place.cover(module)
            else:
                waiting.append(place)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Put everything back."""
        self._awaited.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        while self._undos:
            _, undo = self._undos.popitem()
            undo()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The import system's question for a module: its own answer, with an ear at the loader."""
        if not self._awaited.get(name):
            return None
        finders = [finder for finder in sys.meta_path if finder is not self]
        specs = (finder.find_spec(name, path, target) for finder in finders)
        spec = next((found for found in specs if found is not None), None)
        with guarded():
            self._listen(spec)
        return spec

    def _listen(self, spec: Any) -> None:
        original = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            del spec.loader.exec_module
            original(module)
            with guarded():
                for place in self._awaited.pop(spec.name, []):
                    self._undos[place] = place.cover(module)

        spec.loader.exec_module = exec_module


def is_installed(package: str) -> bool:
    """Whether a package could be imported. Imports at most the packages around it."""
    try:
        return package in sys.modules or importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
