import pytest

from torchstash.cache import CacheSample, summarize_samples
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OPERATION_GET,
    OPERATION_PUT,
    OUTCOME_FAILED,
    OUTCOME_HIT,
    OUTCOME_MISS,
    OUTCOME_STORED,
    Operation,
    Outcome,
)


def _get(outcome: Outcome, seconds: int = 0) -> CacheSample:
    sample = CacheSample(cache_name="c", operation=OPERATION_GET, outcome=outcome)
    sample.total_duration.FromSeconds(seconds)
    return sample


def test_a_failed_get_is_no_hit() -> None:
    summary = summarize_samples([_get(OUTCOME_HIT), _get(OUTCOME_FAILED)])["c"]
    assert summary.hit_rate == 0.5
    assert summary.misses == 0


def test_percentiles_are_of_the_samples() -> None:
    summary = summarize_samples(_get(OUTCOME_HIT, seconds) for seconds in range(100, 0, -1))["c"]
    assert summary.median_seconds == 50.5
    assert summary.p95_seconds == 95.0


def test_one_sample_is_its_own_percentile() -> None:
    assert summarize_samples([_get(OUTCOME_HIT, 7)])["c"].p95_seconds == 7.0


def test_no_samples_name_no_cache() -> None:
    assert summarize_samples([]) == {}


def test_any_percentile() -> None:
    summary = summarize_samples(_get(OUTCOME_HIT, seconds) for seconds in range(1, 101))["c"]
    assert summary.p99_seconds == 99.0
    assert summary.percentile_seconds(1.0) == 100.0
    assert summary.percentile_seconds(0.001) == 1.0
    for fraction in (0.0, -0.1, 1.1):
        with pytest.raises(ValueError, match="fraction"):
            summary.percentile_seconds(fraction)


def _at(second: int, operation: Operation, outcome: Outcome, key: str = "k") -> CacheSample:
    sample = CacheSample(cache_name="c", operation=operation, outcome=outcome, key=key)
    sample.start_time.seconds = 1_700_000_000 + second
    sample.total_duration.FromMilliseconds(500)
    return sample


def test_a_hit_saves_what_the_value_took_to_make() -> None:
    samples = [
        _at(0, OPERATION_GET, OUTCOME_HIT, "made before"),
        _at(0, OPERATION_GET, OUTCOME_MISS),
        _at(7, OPERATION_PUT, OUTCOME_STORED),  # Made from 0.5 to 7.
        _at(8, OPERATION_GET, OUTCOME_HIT),
        _at(9, OPERATION_GET, OUTCOME_HIT),
        _at(20, OPERATION_PUT, OUTCOME_STORED),  # Put again without having been missed.
        _at(21, OPERATION_GET, OUTCOME_HIT),
        _at(30, OPERATION_GET, OUTCOME_FAILED, "cheap"),
        _at(30, OPERATION_PUT, OUTCOME_STORED, "cheap"),
        _at(31, OPERATION_GET, OUTCOME_HIT, "cheap"),
    ]
    assert summarize_samples(samples)["c"].seconds_saved == 3 * 6.0


def test_bytes_are_counted_where_they_are_known() -> None:
    put = _at(0, OPERATION_PUT, OUTCOME_STORED)
    put.value_size_bytes, put.encoded_size_bytes = 1000, 100
    hit = _at(1, OPERATION_GET, OUTCOME_HIT)
    hit.encoded_size_bytes = 100
    summary = summarize_samples([put, hit])["c"]
    assert summary.encoded_bytes == 200
    assert summary.hit_bytes == 100
    assert summary.compressed_away_bytes == 900
