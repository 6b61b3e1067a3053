"""The commands that look after a store, as users call them, in this process."""

import json
from pathlib import Path

import pytest
import torch

from torchstash.content_store import ContentStoreReader, ContentStoreWriter
from torchstash.tools.cli.arguments import parse
from torchstash.tools.cli.main import main


def run(*arguments: str | Path) -> int:
    return main(parse(["torchstash", *map(str, arguments)]))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    with ContentStoreWriter(folder) as writer:
        writer.write_tensor("weight\x1b[31m", torch.arange(50_000.0))
        writer.write_tensor("bias", torch.ones(3))
        writer.save_state_dict("run/1", {"w": torch.arange(50_000.0)})
    return folder


def spoil(store: Path) -> None:
    [file] = (path for path in (store / "blobs").rglob("*") if path.is_file())
    file.chmod(0o600)
    file.write_bytes(bytes(200_000))


def test_verify(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", store) == 0
    assert capsys.readouterr().out.endswith(" bytes hashed: the store is sound\n")
    assert run("verify", store, "--json") == 0
    assert capsys.readouterr().out == ""
    spoil(store)
    assert run("verify", store) == 3
    problem, verdict = capsys.readouterr().out.splitlines()
    assert problem.startswith("contents: ")
    assert problem.endswith(r"hits tensors 'weight\x1b[31m'; snapshots 'run/1'")
    assert verdict.endswith("the store is damaged")
    assert run("verify", store, "--json", "--since", "2001-01-01") == 3
    record = json.loads(capsys.readouterr().out)
    assert record["tensors"] == ["weight\x1b[31m"]
    assert record["loses_data"] is True
    assert run("verify", store, "--since", "9999-01-01") == 0


def test_repair(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("repair", store) == 0
    assert capsys.readouterr().out == "nothing to repair\n"
    spoil(store)
    assert run("repair", store) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("lost: contents: ")
    assert lines[1:] == [r"write again: tensor weight\x1b[31m", "write again: snapshot run/1"]
    assert run("repair", store, "--json") == 3
    record = json.loads(capsys.readouterr().out)
    assert record["snapshots_to_write_again"] == ["run/1"]
    with ContentStoreWriter(store) as writer:
        writer.write_tensor("again", torch.arange(50_000.0))
    assert run("verify", store) == 0


def test_gc(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = store / "tmp" / f"{1:032x}.part"
    left.write_bytes(bytes(10))
    assert run("gc", store) == 0
    assert " 0 unpublished" in capsys.readouterr().out
    assert run("gc", store, "--grace", "0", "--dry-run") == 0
    assert capsys.readouterr().out == (
        "would remove 0 files of contents that nothing leads to and 1 unpublished ones: 10 bytes; "
        "and 0 parts of checkpoints and 0 contents of pulls that were never finished\n"
    )
    assert left.exists()
    assert run("gc", store, "--grace", "0", "--audit", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "checkpoint_parts": 0,
        "pulled_contents": 0,
        "orphan_files": 0,
        "temporary_files": 1,
        "freed_bytes": 10,
        "dry_run": False,
    }
    assert not left.exists()


def test_rm(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rm", store, "bias", "absent", "weight\x1b[31m") == 1
    assert "no tensor 'absent'" in capsys.readouterr().err
    assert run("rm", store, "--snapshot", "run/1") == 0
    with ContentStoreReader(store) as reader:
        assert [*reader.names(), *reader.snapshots()] == []
    assert not [path for path in (store / "blobs").rglob("*") if path.is_file()]


def test_mv(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mv", store, "bias", "weight\x1b[31m") == 1
    assert "already" in capsys.readouterr().err
    assert run("mv", store, "bias", "weight\x1b[31m", "--replace") == 0
    assert run("mv", store, "run/1", "best", "--snapshot") == 0
    assert run("mv", store, "bias", "x") == 1
    assert "no tensor 'bias'" in capsys.readouterr().err
    with ContentStoreReader(store) as reader:
        assert [*reader.names(), *reader.snapshots()] == ["weight\x1b[31m", "best"]


def test_salvage(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def damage() -> None:
        with (store / "catalogue.sqlite3").open("r+b") as file:
            file.seek(100)
            file.write(b"\xff" * 8)

    damage()
    assert run("ls", store) == 1
    assert "torchstash repair --salvage" in capsys.readouterr().err
    assert run("repair", store, "--salvage") == 3
    damaged, done = capsys.readouterr().out.splitlines()
    assert (
        damaged
        == "1 pages of the catalogue could not be read in full; other names may have been there"
    )
    assert done.startswith("2 tensors and 1 snapshots are there, all checked by their digests; ")
    assert done.endswith("catalogue.sqlite3.damaged-1")
    with ContentStoreReader(store) as reader:
        assert torch.equal(reader.read_tensor("bias"), torch.ones(3))
    damage()
    spoil(store)
    assert run("repair", store, "--salvage", "--json") == 3
    record = json.loads(capsys.readouterr().out)
    assert record["lost_tensors"] == ["weight\x1b[31m"]
    assert record["lost_snapshots"] == ["run/1"]
    assert record["tensors"] == 1
    assert record["kept_aside"].endswith("catalogue.sqlite3.damaged-2")
    # The manifest that has lost its name.
    assert len(record["nameless_storages"]) == 1
    assert run("repair", store, "--salvage") == 0
    assert capsys.readouterr().out.startswith("1 tensors and 0 snapshots are there")


def test_quota(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("quota", store) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["quota", "-"]
    assert run("quota", store, "1GiB", "--json") == 0
    assert json.loads(capsys.readouterr().out)["quota_bytes"] == 1 << 30
    assert run("quota", store) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["quota", str(1 << 30)]
    assert run("quota", store, "none") == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["quota", "-"]


@pytest.mark.parametrize(
    "arguments",
    [
        *(("verify",), ("verify", "s", "--since", "yesterday"), ("gc", "s", "--grace", "-1")),
        *(("gc", "s", "--grace", "long"), ("rm", "s"), ("mv", "s", "a"), ("quota", "s", "much")),
        *(("quota", "s", "-5"), ("quota", "s", "1.5GiB")),
    ],
)
def test_a_command_line_without_sense_is_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        run(*arguments)
    assert raised.value.code == 2
    assert "usage: torchstash" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify",),
        ("gc",),
        ("gc", "--dry-run"),
        ("repair",),
        ("repair", "--salvage"),
        ("quota",),
        ("quota", "1"),
    ],
)
def test_no_store_is_made(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *more = arguments
    assert run(command, tmp_path / "absent", *more) == 1
    assert run("rm", tmp_path / "absent", "x") == 1
    assert run("mv", tmp_path / "absent", "x", "y") == 1
    assert "no content store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
