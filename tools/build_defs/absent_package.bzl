"""A package that a wheel asks for and our lock does not have: nothing, under its name."""

_BUILD = """
load("@rules_python//python:defs.bzl", "py_library")

py_library(
    name = "pkg",
    visibility = ["//visibility:public"],
)
"""

def _absent_package_impl(rctx):
    rctx.file("BUILD.bazel", _BUILD)

absent_package = repository_rule(
    implementation = _absent_package_impl,
    doc = "Lets what depends on the package build. What imports it finds that it is not there.",
)
