import json
from pathlib import Path

from torchstash.tests.tools.bench.outcomes import MISSING, outcome
from torchstash.tools.bench.results_json import write_json


def test_programs_get_every_sample_and_every_reason(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, outcome())
    record = json.loads(path.read_text())
    assert record["benchmark"] == "hash"
    assert record["environment"]["devices"] == {"cuda": "A GPU"}
    assert len(record["results"]) == 8
    assert record["results"][0] == {
        "section": "One storage",
        "contestant": "ours",
        "device": "cpu",
        "is_ceiling": False,
        "case": {"name": "64 B", "size_bytes": 64, "operations": 1},
        "gigabytes_per_second": 0.032,
        "microseconds_per_operation": 2.0,
        "median_seconds": 2e-6,
        "seconds": [1e-6, 2e-6, 9e-6],
        "calls_per_sample": 1000,
        "problem": None,
    }
    missing = record["results"][1]
    assert missing["problem"] == MISSING
    assert missing["gigabytes_per_second"] is None
    assert [figure["is_reached"] for figure in record["figures"]] == [True, False, None]
