"""Runs protoc for Python and puts each output where Bazel wants it.

protoc writes a module at the path by which the schema is imported; Bazel wants it beside the
schema. Run by the rule in proto.bzl.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc


def main() -> int:
    """Generates every schema that was asked for; protoc's status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proto_path", action="append", default=[])
    parser.add_argument(
        "--generate", action="append", nargs=3, metavar=("SCHEMA", "MODULE", "STUB"), required=True
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        status = protoc.main(
            [
                "protoc",
                *(f"--proto_path={path}" for path in options.proto_path),
                f"--python_out={out}",
                f"--pyi_out={out}",
                *(schema for schema, _, _ in options.generate),
            ]
        )
        if status:
            return int(status)
        for schema, module, stub in options.generate:
            generated = Path(out, schema.removesuffix(".proto") + "_pb2.py")
            shutil.copyfile(generated, module)
            shutil.copyfile(generated.with_suffix(".pyi"), stub)
    return 0


if __name__ == "__main__":
    sys.exit(main())
