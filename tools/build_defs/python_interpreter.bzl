"""A repository for the interpreter: the one that the environment names, else a downloaded one."""

_VARIABLE = "TORCHSTASH_PYTHON"

_PLATFORMS = {
    ("linux", "aarch64"): "aarch64-unknown-linux-gnu",
    ("linux", "amd64"): "x86_64-unknown-linux-gnu",
    ("mac os x", "aarch64"): "aarch64-apple-darwin",
    ("mac os x", "x86_64"): "x86_64-apple-darwin",
}

_TOOLCHAIN = """
load("@rules_python//python:defs.bzl", "py_runtime", "py_runtime_pair")

py_runtime(
    name = "runtime",
    interpreter_path = "{path}",
    python_version = "PY3",
)

py_runtime_pair(
    name = "runtimes",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtimes",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

def _downloaded_interpreter(rctx):
    platform = _PLATFORMS.get((rctx.os.name.lower(), rctx.os.arch))
    if platform == None:
        fail("No Python 3.11 is published for {} on {}. Set {} to the path of one.".format(
            rctx.os.name,
            rctx.os.arch,
            _VARIABLE,
        ))
    return rctx.path(Label("@{}_{}//:bin/python3".format(rctx.attr.downloaded, platform)))

def _python_interpreter_impl(rctx):
    path = rctx.os.environ.get(_VARIABLE)
    build = ["exports_files([\"python3\"])\n"]
    if path:
        found = rctx.execute([path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        if found.stdout.strip() != "3.11":
            fail("{}={} is not a Python 3.11: {}{}".format(_VARIABLE, path, found.stdout, found.stderr))
        rctx.symlink(path, "python3")
        build.append(_TOOLCHAIN.format(path = path))
    else:
        rctx.symlink(_downloaded_interpreter(rctx), "python3")
    rctx.file("BUILD.bazel", "".join(build))

python_interpreter = repository_rule(
    implementation = _python_interpreter_impl,
    doc = """Gives `:python3` for repository rules, and a toolchain where $TORCHSTASH_PYTHON is set.

    Without the variable, the toolchain of rules_python's downloaded interpreter serves the build.""",
    attrs = {
        "downloaded": attr.string(
            doc = "Name given to python_register_toolchains.",
            mandatory = True,
        ),
    },
    environ = [_VARIABLE],
)
