"""The rooms of the house: data goes one way, a room imports only from rooms before it, and seams say what passes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import REPOSITORY

PACKAGE = REPOSITORY / "posecv"

# In order: each imports only from those before it. `posecv` itself is the list of public names.
ROOMS = (
    "errors", "checks", "arrays", "skeletons",
    "terminal", "memory", "files", "opencv",
    "geometry", "oks", "people", "result", "angles", "signals",
    "models", "formats", "engines", "decoding",
    "estimators", "steps",
    "sources", "drawing", "outputs",
    "run", "batch", "live", "degrade", "domain", "evaluation",
    "posecv", "app", "convert", "__main__", "_pyinstaller",
)  # fmt: skip

# What data passes on its way from room to room.
SEAMS = "result.py", "estimators/__init__.py", "steps/__init__.py", "outputs/__init__.py", "sources/__init__.py"


def module_of(path: Path) -> str:
    """posecv/sources/__init__.py is posecv.sources."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def imports(tree: ast.Module) -> Iterator[str]:
    """The modules of posecv that a file imports, wherever: at its top, in a function or for types alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if room_of(each.name) in ROOMS and each.name in TREES)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name the whole path, so that they can be searched for"
            for each in node.names:
                inside = f"{node.module}.{each.name}"
                if inside in TREES:
                    yield inside
                elif node.module in TREES:
                    yield node.module


IMPORTS = {module: sorted(set(imports(tree)) - {module}) for module, tree in TREES.items()}


def test_every_file_is_in_a_room_and_every_room_has_one() -> None:
    assert sorted({room_of(module) for module in TREES}) == sorted(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_before_it(room: str) -> None:
    allowed = {*ROOMS[: ROOMS.index(room)], room}
    backwards = [
        f"{module} imports {target}"
        for module, targets in IMPORTS.items()
        for target in targets
        if room_of(module) == room and room_of(target) not in allowed
    ]
    assert backwards == []


def test_no_files_import_each_other_in_a_circle() -> None:
    """Take away, again and again, the files that import none of those left; of a circle nothing can be taken."""
    left = dict(IMPORTS)
    while free := [module for module, targets in left.items() if not set(targets) & set(left)]:
        for module in free:
            del left[module]
    assert left == {}


@pytest.mark.parametrize("seam", SEAMS)
def test_a_seam_says_what_passes(seam: str) -> None:
    """And not `Any`."""
    assert "Any" not in names_in(TREES[module_of(PACKAGE / seam)])


def test_what_the_command_line_said_stays_in_its_own_room() -> None:
    told = [module for module, tree in TREES.items() if "Namespace" in names_in(tree)]
    assert told
    assert {room_of(module) for module in told} == {"app"}


def names_in(tree: ast.Module) -> set[str]:
    """All names that a file uses or imports."""
    nodes = list(ast.walk(tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return names | {each.name for node in nodes if isinstance(node, ast.ImportFrom) for each in node.names}
