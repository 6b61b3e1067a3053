"""Fails where a source imports what none of its target's direct dependencies gives.

Run by the rule in checked_py_library.bzl. Needs nothing but Python.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

# Part of later Pythons than the one that builds: for imports behind a check of the version.
_LATER_STDLIB = {"compression"}  # 3.14


def imported_names(source: str, path: str) -> Iterator[tuple[int, str, list[str]]]:
    """Line, module and the names taken from it, for each import statement of a source."""
    for node in ast.walk(ast.parse(source, path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, []
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level + (node.module or ""), []
            else:
                yield node.lineno, node.module or "", [alias.name for alias in node.names]


def is_allowed(module: str, names: list[str], allowed: set[str]) -> bool:
    """Whether Python itself or an allowed module gives what the statement imports."""
    top = module.partition(".")[0]
    if (
        top in sys.stdlib_module_names
        or top in _LATER_STDLIB
        or f"{top}.*" in allowed
        or module in allowed
    ):
        return True
    # `from torchstash.proto.cache.v1 import cache_sample_pb2` takes modules from a package.
    return bool(names) and all(f"{module}.{name}" in allowed for name in names)


def main() -> int:
    """Writes the report; 1 where an import is not allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--report", required=True, type=Path)
    parser.add_argument("--allow", action="append", default=[])
    parser.add_argument("sources", nargs="*", type=Path)
    options = parser.parse_args()
    allowed = set(options.allow)
    problems = [
        f"{path}:{line}: imports {module!r}, which no direct dependency of {options.target} gives:"
        " add the target that does to its `deps`"
        for path in options.sources
        for line, module, names in imported_names(path.read_text(encoding="utf-8"), str(path))
        if not is_allowed(module, names, allowed)
    ]
    options.report.write_text("".join(problem + "\n" for problem in problems), encoding="utf-8")
    sys.stderr.write("".join(problem + "\n" for problem in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
