"""The commands as users call them, in this process."""

import json
import re
from pathlib import Path

import pytest
import torch

from torchstash.cache import CacheSample, FileSink
from torchstash.content_store import ContentStoreWriter
from torchstash.proto.cache.v1 import cache_sample_pb2
from torchstash.tools.cli.arguments import parse
from torchstash.tools.cli.main import main


def run(*arguments: str | Path) -> int:
    return main(parse(["torchstash", *map(str, arguments)]))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    weight = torch.arange(6.0).reshape(2, 3)
    with ContentStoreWriter(folder) as writer:
        writer.write_tensor("model/weight", weight)
        writer.write_tensor("model/tied", weight.t())
        writer.write_tensor("model/bias", torch.nn.Parameter(torch.ones(5000)))
        writer.write_tensor("other/\x1b[31mred\n[bold]", torch.tensor(True))
    return folder


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "samples.binpb"
    with FileSink(path) as sink:
        operations = [
            ("graphs", cache_sample_pb2.OPERATION_GET, cache_sample_pb2.OUTCOME_MISS, 1),
            ("graphs", cache_sample_pb2.OPERATION_PUT, cache_sample_pb2.OUTCOME_STORED, 8),
            ("graphs", cache_sample_pb2.OPERATION_GET, cache_sample_pb2.OUTCOME_HIT, 3),
            ("profiles", cache_sample_pb2.OPERATION_PUT, 99, 2),
        ]
        for second, (name, operation, outcome, millis) in enumerate(operations):
            sample = CacheSample(cache_name=name, operation=operation)
            # A number that this version of the schema does not know must be accepted.
            sample.MergeFromString(bytes([7 << 3, outcome]))
            sample.encoded_size_bytes = 10
            sample.start_time.FromSeconds(1_700_000_000 + second)
            sample.total_duration.FromMilliseconds(millis)
            sink.log(sample)
    return path


def test_ls_lists_every_tensor_in_the_order_of_names(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ls", store) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["DIGEST", "DEVICE", "DTYPE", "BYTES", "SIZES", "NAME"]
    assert [line.split()[2:] for line in lines] == [
        ["float32", "20000", "5000", "model/bias"],
        ["float32", "24", "3x2", "model/tied"],
        ["float32", "24", "2x3", "model/weight"],
        ["bool", "1", "scalar", r"other/\x1b[31mred\n[bold]"],
    ]


def test_ls_lists_a_prefix(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ls", store, "model/t") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_ls_gives_programs_an_object_a_line(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ls", store, "--json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["name"] for record in records][-1] == "other/\x1b[31mred\n[bold]"
    digest = records[1]["storage_digest"]
    assert records[1] == {
        "name": "model/tied",
        "dtype": "float32",
        "sizes": [3, 2],
        "size_bytes": 24,
        "device": "cpu",
        "storage_digest": digest,
    }
    assert records[2]["storage_digest"] == digest


def test_show_tells_metadata_and_values(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", store, "model/tied") == 0
    fields = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert fields["strides"] == "[1, 3]"
    assert fields["is_parameter"] == "no"
    assert fields["maximum"] == "5"
    assert fields["first_values"] == "[0, 3, 1, 4, 2, 5]"


def test_show_gives_programs_one_object(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", store, "model/bias", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["is_parameter"] is True
    assert record["quantizer"] is None
    assert record["mean"] == 1.0


def test_stats_count_equal_storages_once(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("stats", store, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record == {
        "tensors": 4,
        "storages": 3,
        "logical_bytes": 20049,
        "stored_bytes": 20025,
        "ratio": 20049 / 20025,
        "snapshots": {
            "snapshots": 0,
            "delta_snapshots": 0,
            "logical_bytes": 0,
            "stored_bytes": 0,
            "depth": 0,
        },
    }
    assert run("stats", store) == 0
    assert "20025" in capsys.readouterr().out


def test_stats_of_an_empty_store_have_no_ratio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ContentStoreWriter(tmp_path).close()
    assert run("stats", tmp_path) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ratio", "-"] in lines
    assert lines[-1] == ["deltas", "(depth", "0)", "0"]


@pytest.fixture
def snapshots(tmp_path: Path) -> Path:
    folder = tmp_path / "snapshots"
    weights = [torch.arange(10_000.0), torch.ones(7)]
    with ContentStoreWriter(folder) as writer:
        writer.save_state_dict("step-1", weights)
        for step in (2, 3):
            weights[0] = weights[0].clone()
            weights[0][step] = -1
            writer.save_state_dict(f"step-{step}", weights, base=f"step-{step - 1}")
    return folder


def test_ls_tells_what_snapshots_hold_and_keep(
    snapshots: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ls", snapshots, "--snapshots") == 0
    header, *lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert header == ["TENSORS", "LOGICAL", "STORED", "DEPTH", "NAME"]
    assert [(line[0], line[1], line[3], line[4]) for line in lines] == [
        ("2", "40028", str(depth), f"step-{depth + 1}") for depth in range(3)
    ]
    assert lines[0][2] == "40028"
    assert all(28 < int(line[2]) < 200 for line in lines[1:])
    assert run("ls", snapshots, "step-2", "--snapshots", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["delta_storages"] == record["depth"] == 1


def test_show_tells_what_one_snapshot_is(
    snapshots: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", snapshots, "step-3", "--snapshot") == 0
    fields = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert fields["depth"] == "2"
    assert fields["storages"] == "2"
    assert run("show", snapshots, "step-4", "--snapshot") == 1
    assert "'step-4'" in capsys.readouterr().err
    assert run("stats", snapshots, "--json") == 0
    record = json.loads(capsys.readouterr().out)["snapshots"]
    assert (record["snapshots"], record["delta_snapshots"], record["depth"]) == (3, 2, 2)


def test_samples_are_summarized_by_cache(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("samples", samples) == 0
    _, graphs, profiles = capsys.readouterr().out.splitlines()
    assert re.split(r"  +", graphs) == [
        *("graphs", "2 get, 1 put", "50.0%", "30", "3.000", "8.000", "0.996"),
        "1 hit, 1 miss, 1 stored",
    ]
    assert re.split(r"  +", profiles)[-1] == "1 99"


def test_samples_for_programs(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("samples", samples, "--json") == 0
    graphs, profiles = json.loads(capsys.readouterr().out)["caches"]
    assert graphs == {
        "cache": "graphs",
        "operations": {"get": 2, "put": 1},
        "outcomes": {"hit": 1, "miss": 1, "stored": 1},
        "hit_rate": 0.5,
        "encoded_bytes": 30,
        "median_seconds": 0.003,
        "p95_seconds": 0.008,
        "p99_seconds": 0.008,
        "hit_bytes": 10,
        "compressed_away_bytes": 0,
        "seconds_saved": 0.996,
    }
    assert profiles["hit_rate"] is None
    assert profiles["outcomes"] == {"99": 1}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ls", "absent"), "absent"),
        (("show", "absent", "x"), "absent"),
        (("stats", "absent"), "absent"),
        (("samples", "absent"), "No such file"),
        (("samples", "foreign"), "holds no cache samples"),
        (("samples", "."), "directory"),
        (("ls", "foreign"), "foreign"),
        (("show", "store", "nobody"), "'nobody'"),
        (("show", "store", ""), "1 to 1024"),
    ],
)
def test_what_the_user_got_wrong_is_said_without_a_traceback(
    arguments: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("foreign").write_text("neither a store nor samples")
    ContentStoreWriter("store").close()
    assert run(*arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("torchstash: ")
    assert told in captured.err
    assert not Path("absent").exists()


def test_an_empty_file_of_samples_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FileSink(tmp_path / "samples").close()
    assert run("samples", tmp_path / "samples") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("ls",), ("show", "store"), ("stats", "--x")]
)
def test_a_command_line_without_sense_is_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        run(*arguments)
    assert raised.value.code == 2
    assert "usage: torchstash" in capsys.readouterr().err
