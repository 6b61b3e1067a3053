"""protoc and the well-known protos from the grpcio-tools wheel: no C++ is compiled."""

_MAIN = """\
import sys

from grpc_tools import protoc

sys.exit(protoc.main(sys.argv))
"""

_BUILD = """\
load("@rules_python//python:defs.bzl", "py_binary")

package(default_visibility = ["//visibility:public"])

py_binary(
    name = "protoc",
    srcs = ["protoc.py"],
    deps = ["{wheel}"],
)
"""

_WELL_KNOWN = """
proto_library(
    name = "{name}_proto",
    srcs = ["google/protobuf/{name}.proto"],
)
"""

# Those that import no other.
_WELL_KNOWN_NAMES = ["any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"]

def _protoc_from_wheel_impl(rctx):
    protos = rctx.path(rctx.attr.wheel).dirname.get_child("site-packages/grpc_tools/_proto/google")
    rctx.symlink(protos, "google")
    rctx.file("protoc.py", _MAIN)
    rctx.file("BUILD.bazel", _BUILD.format(wheel = rctx.attr.wheel.relative(":pkg")) + "".join([
        _WELL_KNOWN.format(name = name)
        for name in _WELL_KNOWN_NAMES
    ]))

protoc_from_wheel = repository_rule(
    implementation = _protoc_from_wheel_impl,
    doc = "Stands in for com_google_protobuf: `:protoc` and `:*_proto` of the well-known types.",
    attrs = {
        "wheel": attr.label(
            doc = "The BUILD file of the grpcio-tools repository.",
            mandatory = True,
        ),
    },
)
