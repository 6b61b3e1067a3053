"""Repros that PyTorch writes: tensors in our store, and back, bit for bit."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo.debug_utils
import torch._functorch.fx_minifier
import torch.utils._content_store
from torch._dynamo.debug_utils import InputReader, InputWriter

from torchstash.content_store import ContentStoreReader, MissingTensorError
from torchstash.prims import load_tensor
from torchstash.prims.torch_repro import install
from torchstash.tests.prims import torch_repro_program as program

_GET_ARGUMENTS = """
import runpy, sys
from torch._dynamo.repro.after_aot import run_repro
from torchstash.tests.prims import torch_repro_program as program
script, save_dir = sys.argv[1:]
sys.argv[1:] = []
repro = runpy.run_path(script)
_, arguments = run_repro(
    repro["mod"], repro["load_args"], command="get_args", save_dir=save_dir, tracing_mode="real"
)
for found, want in zip(arguments, program.inputs(), strict=True):
    assert found.untyped_storage().tolist() == want.untyped_storage().tolist()
    assert found.shape == want.shape and found.stride() == want.stride()
    assert found.storage_offset() == want.storage_offset()
"""


def python(folder: Path, *arguments: str, **environment: str) -> str:
    """What another interpreter, which runs to its end, says."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    places = {"PYTHONPATH": path, "TORCH_COMPILE_DEBUG_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | places | environment,
        check=False,
        capture_output=True,
        cwd=folder,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script that PyTorch wrote when the program failed."""
    folder = tmp_path_factory.mktemp("repro")
    python(
        folder,
        str(program.__file__),
        TORCHDYNAMO_REPRO_AFTER="aot",
        TORCHDYNAMO_REPRO_LEVEL="4",
    )
    (script,) = folder.glob("**/minifier_launcher.py")
    return script


def digests_in(script: Path) -> list[str]:
    lines = script.read_text().splitlines()
    return [line.split("'")[1] for line in lines if "= reader.storage('" in line]


def stored(script: Path) -> list[torch.UntypedStorage]:
    folder = script.parent
    with ContentStoreReader(
        folder if folder.name == "checkpoints" else folder / "checkpoints"
    ) as reader:
        return [reader.read_storage(digest) for digest in digests_in(script)]


def test_a_script_names_storages_of_our_store(launcher: Path) -> None:
    assert "torchstash.prims.torch_repro.install()" in launcher.read_text()
    for found, want in zip(stored(launcher), program.inputs(), strict=True):
        assert found.tolist() == want.untyped_storage().tolist()
    assert not (launcher.parent / "checkpoints" / "storages").exists()


def test_a_script_reads_what_was_written(launcher: Path) -> None:
    said = python(
        launcher.parent, "-c", _GET_ARGUMENTS, str(launcher), f"{launcher.parent}/checkpoints"
    )
    assert "generating random data" not in said


def test_the_minifier_offloads_and_finds_again(launcher: Path) -> None:
    """What is left is the first operator that Inductor is asked for, and its true input."""
    arguments = ("minify", "--no-accuracy", "--no-isolate", "--offload-to-disk")
    said = python(launcher.parent, str(launcher), *arguments)
    assert "generating random data" not in said
    # The script says where PyTorch puts such folders.
    scripts = launcher.parents[2].glob("*/minifier/checkpoints/*.py")
    smallest = min(scripts, key=lambda path: int(path.stem))
    assert "aten.relu" in smallest.read_text()
    assert "aten.sin" not in smallest.read_text()
    with ContentStoreReader(launcher.parent / "checkpoints") as reader:
        product = reader.read_tensor("eager/mm")
    x, y = program.inputs()
    assert torch.allclose(product, x.sin() @ y)
    (found,) = stored(smallest)
    assert found.tolist() == product.untyped_storage().tolist()


NAMES = [
    (torch.utils._content_store, "ContentStoreWriter"),
    (torch.utils._content_store, "ContentStoreReader"),
    (torch._dynamo.debug_utils, "ContentStoreWriter"),
    (torch._dynamo.debug_utils, "ContentStoreReader"),
    (torch._functorch.fx_minifier, "ContentStoreWriter"),
    (InputWriter, "lines"),
]


@pytest.fixture(autouse=True)
def everything_is_put_back() -> Iterator[None]:
    before = [getattr(holder, name) for holder, name in NAMES]
    yield
    assert [getattr(holder, name) for holder, name in NAMES] == before


def written(folder: Path, **tensors: torch.Tensor) -> list[str]:
    """What PyTorch writes of a graph's inputs."""
    writer = InputWriter(str(folder), stable_hash=True)
    for name, tensor in tensors.items():
        writer.tensor(name, tensor)
    return writer.lines()


def loaded(folder: Path, lines: list[str]) -> list[torch.Tensor]:
    names: dict[str, object] = {"torch": torch}
    exec("\n".join(lines), names)
    load_args = names["load_args"]
    assert callable(load_args)
    reader = InputReader(str(folder))
    load_args(reader)
    return list(reader.args)


def test_it_lasts_until_the_end_of_the_block(tmp_path: Path) -> None:
    with install():
        assert loaded(tmp_path, written(tmp_path, x=torch.ones(3)))[0].tolist() == [1, 1, 1]
    lines = written(tmp_path / "torchs", x=torch.ones(3))
    assert lines[0] == "def load_args(reader):"
    assert (tmp_path / "torchs" / "storages").is_dir()


def test_installed_twice_a_script_says_it_once(tmp_path: Path) -> None:
    with install(), install():
        lines = written(tmp_path, x=torch.ones(3))
    assert sum("install()" in line for line in lines) == 1


def test_a_script_without_data_needs_nothing_of_ours() -> None:
    with install():
        writer = InputWriter(None)
        writer.tensor("x", torch.ones(3))
        assert writer.lines()[0] == "def load_args(reader):"


def test_what_pytorch_wrote_is_read_as_before(tmp_path: Path) -> None:
    lines = written(tmp_path, x=torch.arange(3))
    with install():
        assert loaded(tmp_path, lines)[0].tolist() == [0, 1, 2]


def test_shared_storages_are_shared_again(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    with install():
        x, y = loaded(tmp_path, written(tmp_path, x=base[:6], y=base.reshape(3, 4).t()))
    x.zero_()
    assert y.t().flatten().tolist() == [0, 0, 0, 0, 0, 0, 6, 7, 8, 9, 10, 11]


def test_a_storage_without_bytes_is_written_as_unknown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with install():
        nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
        writer: Any = torch.utils._content_store.ContentStoreWriter(str(tmp_path))
        digest = writer.write_storage(nested.untyped_storage())
    assert digest is None
    assert "made-up data" in caplog.text


def test_descriptions_tell_tensors_apart(tmp_path: Path) -> None:
    """As `analyze` compares them, item by item."""
    x = torch.randn(3, 4, requires_grad=True)
    with install():
        writer = torch.utils._content_store.ContentStoreWriter(str(tmp_path))
        reader = torch.utils._content_store.ContentStoreReader(str(tmp_path))
        writer.write_tensor("inductor/x", x * 2)
        known = reader.read_tensor_metadata("inductor/x")
        same, other = (writer.compute_tensor_metadata(t) for t in (x * 2, x * 3))
        assert torch.equal(reader.read_tensor("inductor/x"), x * 2)
    assert isinstance(known, tuple)
    assert known == same
    assert [i for i in range(len(known)) if known[i] != other[i]] == [1]


def test_offloaded_tensors_are_loaded_where_a_script_loads_its_inputs(tmp_path: Path) -> None:
    def load(name: str) -> torch.Tensor:
        return load_tensor(name, [3], [1], dtype=torch.float32, device=torch.device("cpu"))

    with install():
        torch.utils._content_store.ContentStoreWriter(str(tmp_path)).write_tensor(
            "eager/sin", torch.ones(3)
        )
        InputReader(str(tmp_path))
        assert torch.equal(load("eager/sin"), torch.ones(3))
        with pytest.raises(MissingTensorError):
            load("eager/cos")
    assert not torch.equal(load("eager/sin"), torch.ones(3))
