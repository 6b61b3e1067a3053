"""Compiles modules to bytecode that Python loads without a look at the source.

Run by py_bytecode.bzl with one file of arguments: source and output by turns, a line each. The
result is the same wherever it is made: Python puts a module's real path in when it loads it.
"""

import py_compile
import sys
from pathlib import Path


def main() -> None:
    """Compiles what the argument file names."""
    lines = Path(sys.argv[1].removeprefix("@")).read_text(encoding="utf-8").splitlines()
    for source, output in zip(lines[::2], lines[1::2], strict=True):
        try:
            py_compile.compile(
                source,
                cfile=output,
                dfile=source.partition("site-packages/")[2],
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError:
            # Templates and tests of other Pythons: an empty file, which Python passes over.
            Path(output).touch()


if __name__ == "__main__":
    main()
