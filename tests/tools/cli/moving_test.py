"""The commands that move stores, and take and give files, as users call them."""

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from torchstash.cache.disk import DiskBackend
from torchstash.content_store import ContentStoreReader, ContentStoreWriter
from torchstash.content_store.movement import MovementReport, Progress
from torchstash.tools.cli import moving
from torchstash.tools.cli.arguments import parse
from torchstash.tools.cli.main import main
from torchstash.tools.cli.transfer_bar import transfer_bar


def run(*arguments: str | Path) -> int:
    return main(parse(["torchstash", *map(str, arguments)]))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    weight = torch.arange(6.0).reshape(2, 3)
    with ContentStoreWriter(folder) as writer:
        writer.write_tensors({"a/weight": weight, "a/tied": weight.t(), "b": torch.ones(5000)})
        writer.save_state_dict("step", {"weight": weight, "n": 1})
    return folder


def test_push_pull_and_clone(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("push", store, tmp_path / "far") == 0
    assert capsys.readouterr().out == (
        "4 names moved, 0 unchanged; "
        f"{20024 + _manifest_bytes(store)} bytes moved, 0 there already\n"
    )
    assert run("push", store, f"file://{tmp_path}/far", "--json") == 0
    assert json.loads(capsys.readouterr().out)["names_unchanged"] == 4
    assert run("pull", tmp_path / "near", tmp_path / "far", "b", "--prefix", "s", "--json") == 0
    assert json.loads(capsys.readouterr().out)["names_published"] == 2
    assert run("clone", tmp_path / "far", tmp_path / "clone") == 0
    assert capsys.readouterr().out.startswith("4 names moved")
    with ContentStoreReader(tmp_path / "clone") as reader:
        assert list(reader.names()) == ["a/tied", "a/weight", "b"]
        assert reader.load_state_dict("step")["n"] == 1


@pytest.mark.parametrize("asked", [[], ["--index"], ["--verify"]])
def test_push_passes_on_what_it_is_asked(
    asked: list[str], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {}

    def pushed(*_: object, **settings: object) -> MovementReport:
        given.update(settings)
        return MovementReport(0, 0, 0, 0, 0)

    monkeypatch.setattr(moving, "push", pushed)
    assert run("push", store, "s3://bucket", *asked) == 0
    assert given["index"] is ("--index" in asked)
    assert given["verify"] is ("--verify" in asked)


def _manifest_bytes(store: Path) -> int:
    with DiskBackend(store) as backend:
        return len(backend.get("snapshots/step") or b"")


def test_import_and_export(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.safetensors"
    assert run("export", store, file, "a/weight", "--prefix", "b") == 0
    assert capsys.readouterr().out.startswith("2 tensors written to")
    assert run("import", tmp_path / "other", file, "--prefix", "x/", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"names": ["x/a/weight", "x/b"], "metadata": {}}
    assert run("import", tmp_path / "other", file, "b", "--snapshot", "all") == 0
    assert capsys.readouterr().out.startswith("1 snapshot written")
    assert run("export", store, file, "--snapshot", "step", "--tensors-only", "--replace") == 0
    with ContentStoreReader(tmp_path / "other") as reader:
        assert list(reader.names()) == ["x/a/weight", "x/b"]
        assert list(reader.load_state_dict("all")) == ["b"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("push", "absent", "far"), "no content store"),
        (("push", "store", "nonsense://x"), "unknown scheme"),
        (("push", "store", "far", "nobody"), "'nobody'"),
        (("pull", "near", "absent"), "no content store"),
        (("clone", "store", "store"), "pull into it"),
        (("import", "new", "absent.pt"), "No such file"),
        (("import", "new", "text.txt"), "none of the files"),
        (("import", "new", "text.safetensors"), "no safetensors file"),
        (("import", "new", "text.pt", "--snapshot", "x", "--prefix", "y"), "a name of its own"),
        (("export", "store", "x", "a/tied"), "contiguous copies"),
        (("export", "store", "text.txt"), "ask to replace it"),
        (("export", "store", "x", "b", "--snapshot", "step"), "either names or --snapshot"),
        (("export", "store", "absent/x", "b"), "No such file"),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(
    arguments: tuple[str, ...],
    told: str,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(store.parent)
    for name in ("text.txt", "text.safetensors", "text.pt"):
        Path(name).write_text("some text")
    assert run(*arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("torchstash: ")
    assert told in captured.err
    assert not Path("new").exists()


def test_an_interrupted_command_is_130(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(moving, "push", interrupted)
    assert run("push", store, "far") == 130
    assert capsys.readouterr().err == "torchstash: interrupted\n"


def test_a_terminal_sees_a_bar() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=100)
    with transfer_bar("push", console) as show:
        assert show is not None
        show(Progress(3, 8, 1 << 20, 2 << 20))
    assert "1.0/2.0 MiB" in written.getvalue()
    assert "3/8 names" in written.getvalue()
    with transfer_bar("push", Console(file=io.StringIO(), force_terminal=False)) as show:
        assert show is None
