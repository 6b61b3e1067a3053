"""The arrows of docs/design.md, read from the imports of every product module.

    proto <- cache <- content_store <- prims          nothing imports tools or tests

Bazel enforces them for the targets that it builds; this reads the source, so that it
holds for the wheel and for a checkout without Bazel as well.
"""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import torchstash

# What each layer may import of the layers, itself included.
MAY_IMPORT = {
    "proto": {"proto"},
    "cache": {"proto", "cache"},
    "content_store": {"proto", "cache", "content_store"},
    "prims": {"proto", "cache", "content_store", "prims"},
}
FACADES = ["cache", "content_store", "prims"]
# Folders of the workspace: a bare import of one makes a second copy of the module.
TOP_LEVEL_FOLDERS = {*MAY_IMPORT, "tools", "tests"}
# The one corner of `cache` that knows PyTorch, a target of its own.
TORCH_CORNER = "torchstash.cache.torch_compile"


@dataclass(frozen=True)
class Module:
    name: str
    path: Path

    @property
    def layer(self) -> str:
        return self.name.split(".")[1]

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"), str(self.path))


def product_modules() -> list[Module]:
    """Each module once, where Python would find it first."""
    modules: dict[str, Module] = {}
    for place in torchstash.__path__:
        for layer in MAY_IMPORT:
            for path in sorted(Path(place, layer).rglob("*.py")):
                parts = path.relative_to(place).with_suffix("").parts
                name = ".".join(["torchstash", *parts]).removesuffix(".__init__")
                modules.setdefault(name, Module(name, path))
    return list(modules.values())


MODULES = product_modules()
PACKAGES = [module for module in MODULES if module.path.name == "__init__.py"]
EACH_MODULE = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
EACH_PACKAGE = pytest.mark.parametrize("module", PACKAGES, ids=lambda module: module.name)


def imports(module: Module) -> Iterator[str]:
    """The dotted names that a module imports, wherever in it and for whatever reason.

    `from a.b import c` gives `a.b.c`: c may be a module. Relative imports begin with a dot.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield from (f"{source}.{alias.name}" for alias in node.names)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def test_every_layer_was_found() -> None:
    assert {module.layer for module in MODULES} == set(MAY_IMPORT)
    assert {f"torchstash.{layer}" for layer in FACADES} <= {module.name for module in PACKAGES}


@EACH_MODULE
def test_a_layer_imports_only_those_below_it(module: Module) -> None:
    allowed = MAY_IMPORT[module.layer]
    for name in imports(module):
        parts = name.split(".")
        if parts[0] == "torchstash":
            assert parts[1:], f"{module.path}: import a layer, not the whole of torchstash"
            assert parts[1] in allowed, f"{module.path}: {module.layer} may not import {name}"


@EACH_MODULE
def test_every_import_is_absolute(module: Module) -> None:
    for name in imports(module):
        assert not name.startswith("."), f"{module.path}: a relative import of {name}"
        top = name.split(".")[0]
        assert top not in TOP_LEVEL_FOLDERS, f"{module.path}: write torchstash.{name}"


@EACH_MODULE
def test_the_cache_knows_pytorch_in_one_corner_only(module: Module) -> None:
    if module.layer not in ("proto", "cache") or is_within(module.name, TORCH_CORNER):
        return
    for name in imports(module):
        assert not is_within(name, "torch"), f"{module.path}: imports {name}"
        assert not is_within(name, TORCH_CORNER), f"{module.path}: imports {name}"


def test_importing_the_cache_does_not_import_pytorch() -> None:
    """Also not by a detour that no import statement shows."""
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; import torchstash.cache; "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@EACH_PACKAGE
def test_a_face_is_a_docstring_imports_and_all(module: Module) -> None:
    docstring, *statements = module.tree.body
    assert ast.get_docstring(module.tree), f"{module.path}: no docstring"
    assert isinstance(docstring, ast.Expr)
    imported: set[str] = set()
    listed: list[str] = []
    for statement in statements:
        if isinstance(statement, ast.ImportFrom):
            imported |= {alias.asname or alias.name for alias in statement.names}
        else:
            assert isinstance(statement, ast.Assign), f"{module.path}:{statement.lineno}"
            assert ast.unparse(statement.targets[0]) == "__all__"
            listed = ast.literal_eval(statement.value)
    assert len(set(listed)) == len(listed)
    assert set(listed) == imported, f"{module.path}: __all__ and the imports differ"


@pytest.mark.parametrize("layer", FACADES)
def test_every_public_name_resolves(layer: str) -> None:
    facade = importlib.import_module(f"torchstash.{layer}")
    assert facade.__all__, f"torchstash.{layer} has no public name"
    for name in facade.__all__:
        assert hasattr(facade, name), f"torchstash.{layer}.{name}"
