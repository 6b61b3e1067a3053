"""The wheel, installed into an empty environment: every public name, typed, with its command."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

_WHEEL = next(Path("tools/wheel").absolute().glob("torchstash-*.whl"))

_IMPORT_EVERY_PUBLIC_NAME = """
import importlib, sys, torchstash
for layer in (
    "cache", "cache.envelope", "cache.http", "cache.network", "cache.object_store",
    "cache.opening", "cache.reapi", "cache.redis", "cache.torch_compile", "cache.wrappers",
    "content_store", "content_store.distributed_checkpoint", "content_store.exchange",
    "content_store.movement", "prims", "prims.torch_repro",
):
    module = importlib.import_module("torchstash." + layer)
    assert module.__file__.startswith(sys.prefix), module.__file__
    assert module.__all__, layer
    for name in module.__all__:
        getattr(module, name)
from torchstash.proto.cache.v1 import cache_sample_pb2
from torchstash.proto.content_store.v1 import tensor_metadata_pb2
cache_sample_pb2.CacheSample(), tensor_metadata_pb2.TensorMetadata()
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty virtual environment, then the wheel; third-party packages are lent by the build."""
    root = tmp_path_factory.mktemp("venv")
    python = root / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True)
    lent = [entry for entry in sys.path if entry.endswith("site-packages")]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", f"--python={python}", "install", "--quiet"),
            *("--no-index", "--no-deps", "--no-compile", str(_WHEEL)),
        ],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(lent)},
    )
    site_packages = next(root.glob("lib/python*/site-packages"))
    (site_packages / "lent.pth").write_text("".join(f"{entry}\n" for entry in lent))
    return root


def _run(environment: Path, *command: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [environment / "bin" / command[0], *command[1:]],
        capture_output=True,
        check=False,
        cwd=environment,
        env=clean,
        text=True,
    )


def test_every_public_name_imports(environment: Path) -> None:
    done = _run(environment, "python", "-c", _IMPORT_EVERY_PUBLIC_NAME)
    assert done.returncode == 0, done.stderr


def test_the_command_helps(environment: Path) -> None:
    done = _run(environment, "torchstash", "--help")
    assert done.returncode == 0, done.stderr
    assert "torchstash" in done.stdout


def test_pytorch_finds_the_plug_in(environment: Path) -> None:
    """The environment asks `import torch` for it."""
    program = (
        "import os; os.environ['TORCHSTASH_REPRO'] = '1'; import torch; "
        "import torch._dynamo.debug_utils as debug_utils; "
        "print(debug_utils.ContentStoreWriter.__module__)"
    )
    done = _run(environment, "python", "-c", program)
    assert done.returncode == 0, done.stderr
    assert "torchstash.prims.torch_repro" in done.stdout


def test_a_benchmark_of_a_checkout_runs_beside_it(environment: Path) -> None:
    program = Path("tools/bench/without_bazel.py").absolute()
    asked = ("--devices=cpu", "--only=torchstash,SHA-256", "--sizes=64B", "--budget=0.01")
    done = _run(environment, "python", str(program), "hash", *asked)
    assert done.returncode == 0, done.stderr
    assert "SHA-256, hashlib" in done.stdout


def test_it_is_typed_and_complete() -> None:
    names = set(zipfile.ZipFile(_WHEEL).namelist())
    assert "torchstash/py.typed" in names
    assert "torchstash/proto/cache/v1/cache_sample_pb2.pyi" in names
    assert "torchstash/proto/content_store/v1/tensor_metadata_pb2.pyi" in names
    assert not [name for name in names if "test" in name.lower()]


def test_no_entry_tells_when_or_where_it_was_built() -> None:
    entries = zipfile.ZipFile(_WHEEL).infolist()
    assert len({entry.date_time for entry in entries}) == 1
    assert {entry.external_attr >> 16 & 0o777 for entry in entries} == {0o644}
