import typing

import pytest

from bench import metrics, sample
from bench.metrics import METRICS, UnknownMetric, metric
from bench.units import Unit


@pytest.mark.parametrize("entry", METRICS, ids=lambda entry: entry.name)
def test_every_metric_is_whole(entry):
    assert entry.unit in typing.get_args(Unit)
    assert entry.better in ("higher", "lower", None)
    assert 0 <= entry.practical_floor <= 0.01
    assert entry.warning_band is None or entry.warning_band > entry.practical_floor
    assert entry.title


def test_every_metric_has_a_reader_and_every_reader_a_metric():
    assert set(sample._READERS) == set(metrics.BY_NAME) and len(METRICS) == len(metrics.BY_NAME)


@pytest.mark.parametrize("entry", METRICS, ids=lambda entry: entry.name)
def test_units_agree_with_names_and_directions(entry):
    if entry.unit in ("tok/s", "row/s"):
        assert entry.better == "higher"
    if entry.unit in ("s", "B"):
        assert entry.better in ("lower", None)
    if entry.name.endswith("_s") and "_per_s" not in entry.name:
        assert entry.unit == "s"


def test_a_metric_that_warns_says_which_way_is_worse():
    assert all(entry.better for entry in METRICS if entry.warning_band is not None)


def test_an_unknown_metric_names_its_near_miss():
    with pytest.raises(UnknownMetric, match="did you mean 'tokens_per_s'"):
        metric("token_per_s")


def test_more_throughput_is_better_and_more_memory_is_worse():
    assert metric("job_tokens_per_s").change_of(1.2) == "better"
    assert metric("peak_memory_b").change_of(1.2) == "worse"
    assert metric("heldout_loss").change_of(1.737) == "worse"
    assert metric("steps").change_of(1.2) == "differs"


def test_the_larger_of_the_two_floors_counts():
    assert metric("tokens_per_s").threshold(0.05) == 0.05
    assert metric("tokens_per_s").threshold(None) == pytest.approx(0.00995, abs=1e-5)
