"""The Python interpreter of the build."""

load("@rules_python//python:repositories.bzl", "py_repositories", "python_register_toolchains")
load("//tools/build_defs:python_interpreter.bzl", "python_interpreter")

# buildifier: disable=unnamed-macro
def torchstash_toolchains():
    """Registers a Python 3.11 toolchain. Second step, after `torchstash_rule_sets`."""
    py_repositories()

    python_interpreter(
        name = "torchstash_python",
        downloaded = "torchstash_python3_11",
    )
    native.register_toolchains("@torchstash_python//:all")
    python_register_toolchains(
        name = "torchstash_python3_11",
        # Its reason against root is that Python writes .pyc files into the repository, which
        # costs a rebuild, no more; continuous integration often is root.
        ignore_root_user_error = True,
        python_version = "3.11",
    )
