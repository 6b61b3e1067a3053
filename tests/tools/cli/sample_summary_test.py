from torchstash.cache import CacheSample
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OPERATION_GET,
    OUTCOME_FAILED,
    OUTCOME_HIT,
    Outcome,
)
from torchstash.tools.cli.sample_summary import summarize_samples


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
