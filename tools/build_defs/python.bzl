"""Every Python rule that this workspace uses: one file to edit when rule sets change."""

load("@rules_python//python:defs.bzl", _py_binary = "py_binary", _py_test = "py_test")
load("//tools/build_defs:checked_py_library.bzl", "checked_py_library")

_ROOT = "//:torchstash"

def py_library(*, name, **kwargs):
    """A module or a package of `torchstash`, its imports checked against its deps."""
    checked_py_library(
        name = name,
        implicit_deps = [_ROOT],
        **kwargs
    )

def py_binary(*, name, deps = [], **kwargs):
    """A program."""
    _py_binary(
        name = name,
        deps = deps + [_ROOT],
        python_version = "PY3",
        srcs_version = "PY3",
        **kwargs
    )

def py_test(*, name, srcs, deps = [], data = [], args = [], **kwargs):
    """Test files, run by pytest with the settings of this workspace. A file without tests fails."""
    runner = "//tools/build_defs:pytest_main.py"
    runner_deps = [_ROOT, "//tests:conftest", "//tools/deps:pytest"]
    _py_test(
        name = name,
        srcs = srcs + [runner],
        args = ["$(rootpath {})".format(src) for src in srcs] + args,
        data = data + ["//:pyproject.toml"],
        legacy_create_init = False,
        main = runner,
        python_version = "PY3",
        srcs_version = "PY3",
        deps = deps + [dep for dep in runner_deps if dep not in deps],
        **kwargs
    )

_ACCELERATORS = ["cuda", "mps", "xpu"]

def device_py_test(*, name, tags = [], env = {}, **kwargs):
    """The same tests on each kind of device: NAME_cpu, NAME_cuda, NAME_mps, NAME_xpu, suite NAME.

    Args:
      name: of the suite, and the stem of the tests' names.
      tags: given to each test, beside `device_<kind>`.
      env: given to each test, beside the variable that tells tests/conftest.py the device.
      **kwargs: as for py_test.
    """
    py_test(
        name = name + "_cpu",
        env = env | {"TORCHSTASH_TEST_DEVICE": "cpu"},
        tags = tags + ["device_cpu"],
        **kwargs
    )
    for device in _ACCELERATORS:
        py_test(
            name = "{}_{}".format(name, device),
            env = env | {"TORCHSTASH_TEST_DEVICE": device},
            # `external`: what a driver does is no input that Bazel could know, so never cached.
            tags = tags + ["device_" + device, "external"],
            target_compatible_with = ["//tools/platforms:" + device + "_accelerator"],
            **kwargs
        )
    native.test_suite(
        name = name,
        tests = [name + "_" + device for device in ["cpu"] + _ACCELERATORS],
    )
