"""`.safetensors` files: to and fro with the format's own library, and lies in a header."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchstash.content_store import (
    ContentStoreReader,
    ContentStoreWriter,
    ExistsError,
    ForeignFileError,
    MissingSnapshotError,
    MissingTensorError,
    NotInStoreError,
    UnsupportedDtypeError,
    UnsupportedTensorError,
    UnsupportedValueError,
)
from torchstash.content_store.exchange import export_safetensors, import_file
from torchstash.content_store.exchange.safetensors_header import parse_header
from torchstash.tests.faults.effort import effort

DTYPES: list[torch.dtype] = sorted(filter(None, safetensors.torch._TYPES.values()), key=str)


def every_dtype() -> dict[str, torch.Tensor]:
    tensors = {}
    for i, dtype in enumerate(DTYPES):
        octets = torch.arange(3 * dtype.itemsize, dtype=torch.uint8) % 2
        tensors[f"{i} {dtype}"] = octets.view(dtype)
    return tensors | {"empty": torch.empty(0, 4), "scalar": torch.tensor(2.5)}


def assert_equal(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert sorted(found) == sorted(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert found[name].view(-1).view(torch.uint8).equal(tensor.view(-1).view(torch.uint8))


def test_the_librarys_file_becomes_tensors(tmp_path: Path) -> None:
    tensors = every_dtype()
    safetensors.torch.save_file(tensors, tmp_path / "a.safetensors", {"format": "pt"})
    report = import_file(tmp_path / "s", tmp_path / "a.safetensors", prefix="run/")
    assert report.metadata == {"format": "pt"}
    assert sorted(report.names) == sorted(f"run/{name}" for name in tensors)
    with ContentStoreReader(tmp_path / "s") as reader:
        found = {name.removeprefix("run/"): reader.read_tensor(name) for name in reader.names()}
    assert_equal(found, tensors)


def test_the_librarys_file_becomes_a_snapshot(tmp_path: Path) -> None:
    tensors = every_dtype()
    safetensors.torch.save_file(tensors, tmp_path / "a.safetensors")
    assert import_file(tmp_path / "s", tmp_path / "a.safetensors", snapshot="x").names == ("x",)
    with ContentStoreReader(tmp_path / "s") as reader:
        assert not list(reader.names())
        assert_equal(reader.load_state_dict("x"), tensors)


def test_the_library_reads_our_file(tmp_path: Path) -> None:
    tensors = every_dtype()
    with ContentStoreWriter(tmp_path / "s") as writer:
        writer.write_tensors(tensors)
        writer.save_state_dict("x", {"a": [tensors["scalar"]], "b": {3: tensors["empty"]}})
    report = export_safetensors(tmp_path / "s", tmp_path / "all.safetensors", metadata={"k": "v"})
    assert report.size_bytes == (tmp_path / "all.safetensors").stat().st_size
    assert_equal(safetensors.torch.load_file(tmp_path / "all.safetensors"), tensors)
    with safetensors.safe_open(tmp_path / "all.safetensors", "pt") as file:
        assert file.metadata() == {"k": "v"}
    export_safetensors(tmp_path / "s", tmp_path / "x.safetensors", snapshot="x")
    wanted = {"a.0": tensors["scalar"], "b.3": tensors["empty"]}
    assert_equal(safetensors.torch.load_file(tmp_path / "x.safetensors"), wanted)
    export_safetensors(tmp_path / "s", tmp_path / "y.safetensors", names=["empty"], prefixes=["1"])
    names = [name for name in tensors if name == "empty" or name.startswith("1")]
    found = safetensors.torch.load_file(tmp_path / "y.safetensors")
    assert_equal(found, {name: tensors[name] for name in names})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("all.safetensors", "s", "x.safetensors", "y.safetensors")
    ]


def test_what_the_format_cannot_say(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    state = {
        "shared": {"a": weight, "b": weight[0]},
        "apart": {"a": weight[0], "b": weight[1]},
        "strides": {"t": weight.t()},
        "conj": {"c": torch.ones(2, dtype=torch.complex64).conj()},
        "complex128": {"c": torch.ones(2, dtype=torch.complex128)},
        "step": {"a": weight, "step": 3},
        "twins": {"a.b": weight, "a": {"b": weight}},
        "keys": {(1, 2): weight},
    }
    with ContentStoreWriter(tmp_path / "s") as writer:
        for name, value in state.items():
            writer.save_state_dict(name, value)

    def export(name: str, **options: Any) -> dict[str, torch.Tensor]:
        path = tmp_path / "x.safetensors"
        export_safetensors(tmp_path / "s", path, snapshot=name, replace=True, **options)
        found: dict[str, torch.Tensor] = safetensors.torch.load_file(path)
        return found

    assert_equal(export("apart"), {"a": weight[0], "b": weight[1]})
    for name, told in [("shared", "share memory"), ("strides", "strides"), ("conj", "conjugate")]:
        with pytest.raises(UnsupportedTensorError, match=f"{told}.* contiguous copies"):
            export(name)
    assert_equal(export("shared", contiguous=True), {"a": weight, "b": weight[0]})
    assert_equal(export("strides", contiguous=True), {"t": weight.t().contiguous()})
    assert_equal(
        export("conj", contiguous=True),
        {"c": torch.complex(*torch.tensor([[1.0], [-0.0]])).repeat(2)},
    )
    with pytest.raises(UnsupportedTensorError, match=r"'c' has the dtype torch\.complex128"):
        export("complex128", contiguous=True)
    with pytest.raises(UnsupportedValueError, match=r"1 values that are no tensors \(at 'step'\)"):
        export("step")
    assert_equal(export("step", tensors_only=True), {"a": weight})
    with pytest.raises(UnsupportedValueError, match=r"would be named 'a\.b'"):
        export("twins")
    with pytest.raises(UnsupportedValueError, match="neither text nor an integer"):
        export("keys")


def test_what_is_not_there(tmp_path: Path) -> None:
    with ContentStoreWriter(tmp_path / "s") as writer:
        writer.write_tensor("x", torch.ones(2))
    file = tmp_path / "x.safetensors"
    with pytest.raises(MissingSnapshotError):
        export_safetensors(tmp_path / "s", file, snapshot="absent")
    with pytest.raises(MissingTensorError):
        export_safetensors(tmp_path / "s", file, names=["absent"])
    assert not file.exists()
    export_safetensors(tmp_path / "s", file)
    with pytest.raises(ExistsError, match="ask to replace it"):
        export_safetensors(tmp_path / "s", file)
    with pytest.raises(NotInStoreError, match="'absent'"):
        import_file(tmp_path / "s", file, names=["absent"])
    with pytest.raises(FileNotFoundError):
        import_file(tmp_path / "s", tmp_path / "absent.safetensors")
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(ForeignFileError, match="none of the files"):
        import_file(tmp_path / "s", tmp_path / "x.txt")


def tensor(dtype: str = "U8", shape: object = (4,), offsets: object = (0, 4)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


LIES: dict[str, tuple[object, str]] = {
    "no object": ([], "no JSON object"),
    "a hole at the start": ({"a": tensor(shape=[3], offsets=[1, 4])}, "take bytes 1 to 4"),
    "bytes behind": ({"a": tensor(shape=[3], offsets=[0, 3])}, "has 4 bytes for them"),
    "beyond the end": ({"a": tensor(shape=[5], offsets=[0, 5])}, "has 4 bytes for them"),
    "overlap": (
        {"a": tensor(shape=[3], offsets=[0, 3]), "b": tensor(shape=[2], offsets=[2, 4])},
        "'a' and 'b' overlap",
    ),
    "alias": ({"a": tensor(), "b": tensor()}, "'a' and 'b' overlap"),
    "a gap": (
        {"a": tensor(shape=[1], offsets=[0, 1]), "b": tensor(shape=[1], offsets=[3, 4])},
        "between its tensors 'a' and 'b'",
    ),
    "too few bytes": ({"a": tensor(shape=[5])}, "4 bytes instead of 5"),
    "backwards": ({"a": tensor(offsets=[4, 0])}, "-4 bytes instead of 4"),
    "negative": ({"a": tensor(shape=[-4], offsets=[0, 4])}, "no sizes"),
    "fraction": ({"a": tensor(shape=[4.0])}, "no sizes"),
    "truth": ({"a": tensor(shape=[True, 4])}, "no sizes"),
    "huge": ({"a": tensor(shape=[1 << 62, 1 << 62, 0, 1 << 70], offsets=[0, 0])}, "no sizes"),
    "overflow": ({"a": tensor(shape=[1 << 62, 8])}, "bytes instead of"),
    "no offsets": ({"a": {"dtype": "U8", "shape": [4]}}, "has no dtype, shape"),
    "metadata": ({"__metadata__": {"a": 1}, "a": tensor()}, "no text by text"),
}


def write_file(path: Path, header: object, data: bytes = b"\0\1\2\3") -> Path:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_refused(lie: str, tmp_path: Path) -> None:
    header, told = LIES[lie]
    path = write_file(tmp_path / "lie.safetensors", header)
    with pytest.raises(ForeignFileError, match=told):
        import_file(tmp_path / "s", path)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"1234567",
        b"\xff" * 8,
        (5).to_bytes(8, "little") + b"{}",
        (100_000_001).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{]",
        (31).to_bytes(8, "little") + b'{"a":{"dtype":"U8"},"a":{"b":2}}',
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        (4).to_bytes(8, "little") + b'"\xff"}',
    ],
)
def test_what_is_no_such_file(octets: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(octets)
    with pytest.raises(ForeignFileError):
        import_file(tmp_path / "s", tmp_path / "x.safetensors")


def test_a_dtype_of_parts_of_bytes(tmp_path: Path) -> None:
    path = write_file(tmp_path / "x.safetensors", {"a": tensor("F4", [8], [0, 4])})
    with pytest.raises(UnsupportedDtypeError, match="'a' has the dtype 'F4'"):
        import_file(tmp_path / "s", path)


@settings(max_examples=effort(300), deadline=None)
@given(st.data())
def test_a_damaged_header_is_refused_or_read_in_bounds(data: st.DataObject) -> None:
    whole = json.dumps({"a": tensor(), "b": tensor("F32", [2], [4, 12])}).encode()
    position = data.draw(st.integers(0, len(whole) - 1))
    octets = data.draw(st.binary(max_size=4))
    damaged = whole[:position] + octets + whole[position + data.draw(st.integers(0, 4)) :]
    parse: Callable[[], Any] = lambda: parse_header(damaged, 12)  # noqa: E731
    try:
        tensors, _ = parse()
    except (ForeignFileError, UnsupportedDtypeError):
        return
    assert sum(each.end_bytes - each.begin_bytes for each in tensors.values()) == 12


def test_bytes_stay_in_the_file(tmp_path: Path) -> None:
    """A tensor is a private mapping: another process's file does not change with it."""
    safetensors.torch.save_file({"a": torch.ones(1000)}, tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    import_file(tmp_path / "s", tmp_path / "a.safetensors")
    with ContentStoreReader(tmp_path / "s") as reader:
        reader.read_tensor("a").zero_()
    assert (tmp_path / "a.safetensors").read_bytes() == before
