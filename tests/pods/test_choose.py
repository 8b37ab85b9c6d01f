"""The freest pod: a table of fleets, what is needed, and what is chosen with which reason."""

import pytest

from pods.choose import Choice, Need, Ranked, freest
from pods.facts import Gpu, Host
from pods.inventory import Pod
from pods.probe import Disk, PodState, Slot, Unusable

GIB = 1 << 30
H100, A100 = "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-40GB"


def host(load: float = 0.0, cores: int = 16, memory_gib: int = 128) -> Host:
    return Host("h", "EPYC", cores, memory_gib * 1024, "boot", "6", load)


def gpus(free: int, busy: int = 0, kind: str = H100, memory_gib: int = 80, **changes) -> tuple[Slot, ...]:
    def slot(number: int, why: str) -> Slot:
        gpu = Gpu(f"GPU-{number}", kind, memory_gib * 1024, changes.get("used", 0), changes.get("use", 0.0))
        return Slot(gpu.uuid, gpu, why, power_w=changes.get("watts", 90.0), power_limit_w=700.0)

    return (
        *(slot(n, "") for n in range(free)),
        *(slot(n, "in use by x (1)") for n in range(free, free + busy)),
    )


def state(name: str, slots=None, *, load=0.0, price=None, tags=(), disk_gib=500, writable=True) -> PodState:
    pod = Pod(name, price_per_hour=price, tags=tuple(tags))
    disk = Disk(disk_gib * GIB, 1000 * GIB, 10**6, writable)
    return PodState(pod, gpus(8) if slots is None else slots, host(load), disk)


def cpu(name: str, busy: str = "", memory_gib: int = 128) -> PodState:
    slots = (Slot("cpu", None, busy),)
    return PodState(Pod(name), slots, host(memory_gib=memory_gib), Disk(500 * GIB, 1000 * GIB, None, True))


def order(choice: Choice) -> list[str]:
    return [f"{one.pod}:{one.slot}" if one.slot else f"-{one.pod}" for one in choice.ranked]


@pytest.mark.parametrize(
    ("states", "need", "expected"),
    [
        pytest.param(
            [state("a", gpus(2, 6)), state("b", gpus(3, 5))], Need(), ["b:GPU-0", "a:GPU-0"], id="more free"
        ),
        pytest.param(
            [state("a", gpus(3)), state("b", gpus(4, 4))],
            Need(),
            ["b:GPU-0", "a:GPU-0"],
            id="four free are preferred",
        ),
        pytest.param(
            [state("a", load=8.0), state("b", load=1.0)], Need(), ["b:GPU-0", "a:GPU-0"], id="less load"
        ),
        pytest.param(
            [state("a", price=3.0), state("b", price=2.0)], Need(), ["b:GPU-0", "a:GPU-0"], id="cheaper"
        ),
        pytest.param(
            [state("a"), state("b", price=2.0)], Need(), ["b:GPU-0", "a:GPU-0"], id="a known price first"
        ),
        pytest.param([state("b"), state("a")], Need(), ["a:GPU-0", "b:GPU-0"], id="all equal: the name"),
        pytest.param([state("a", gpus(0, 8)), state("b", gpus(1, 7))], Need(), ["b:GPU-0", "-a"], id="full"),
        pytest.param([Unusable(Pod("a"), "gone"), state("b")], Need(), ["b:GPU-0", "-a"], id="not reached"),
        pytest.param([], Need(), [], id="no pods"),
        pytest.param([cpu("a")], Need(), ["a:cpu"], id="a machine without a GPU has one slot"),
        pytest.param([cpu("a", "leased: x")], Need(), ["-a"], id="that slot is held"),
        pytest.param([cpu("a")], Need(gpu_type="H100"), ["-a"], id="no GPU where one is needed"),
        pytest.param(
            [state("a", gpus(8, kind=A100)), state("b", gpus(1, 7))],
            Need(gpu_type="h100"),
            ["b:GPU-0", "-a"],
            id="another type",
        ),
        pytest.param(
            [state("a", gpus(8, memory_gib=40)), state("b", gpus(1))],
            Need(memory_gib=60),
            ["b:GPU-0", "-a"],
            id="too little memory",
        ),
        pytest.param([cpu("a", memory_gib=8)], Need(memory_gib=16), ["-a"], id="the host's memory"),
        pytest.param(
            [state("a", disk_gib=10), state("b", gpus(1))],
            Need(disk_gib=40),
            ["b:GPU-0", "-a"],
            id="too little disk",
        ),
        pytest.param(
            [state("a", writable=False)], Need(), ["-a"], id="a workspace that cannot be written to"
        ),
        pytest.param([state("a"), state("b", tags=["x"])], Need(tags=("x",)), ["b:GPU-0", "-a"], id="tags"),
        pytest.param(
            [state("a", gpus(8, use=100.0, watts=100.0)), state("b")],
            Need(),
            ["b:GPU-0", "a:GPU-0"],
            id="shared tenancy ranks lower",
        ),
        pytest.param(
            [state("a", gpus(8, use=100.0, watts=650.0)), state("b", load=1.0)],
            Need(),
            ["a:GPU-0", "b:GPU-0"],
            id="full power is no shared tenancy",
        ),
        pytest.param(
            [state("a", (*gpus(1, 0, A100, 40), *gpus(3)[1:]))],
            Need(gpu_type="H100"),
            ["a:GPU-1"],
            id="a pod of two kinds: the one that fits",
        ),
        pytest.param(
            [state("a", (*gpus(0, 1), *gpus(2, 0, A100, 40)[1:]))],
            Need(gpu_type="H100"),
            ["-a"],
            id="of two kinds the one that fits is busy",
        ),
    ],
)
def test_the_freest_pod_that_meets_the_need_is_first(states, need, expected):
    assert order(freest(states, need)) == expected


def test_a_lower_noise_floor_goes_before_load_and_an_unknown_one_is_last():
    known = {"b": 0.02, "c": 0.01}
    states = [state("a"), state("b", load=3.0), state("c", load=9.0)]
    choice = freest(states, Need(), floor=lambda pod, _: known.get(pod.pod.name))
    assert order(choice) == ["c:GPU-0", "b:GPU-0", "a:GPU-0"]


def test_of_the_slots_of_a_pod_the_quietest_is_taken():
    choice = freest(
        [state("a", gpus(3))], Need(), floor=lambda _, slot: 0.01 if slot.name == "GPU-2" else None
    )
    assert order(choice) == ["a:GPU-2"]


def test_tasks_of_one_tick_spread_over_pods_that_are_equally_free():
    states, taken = [state("a", gpus(2)), state("b", gpus(2))], set()
    for _ in range(4):
        best = freest(states, Need(), taken=taken).best
        taken.add((best.pod, best.slot))
    assert taken == {("a", "GPU-0"), ("b", "GPU-0"), ("a", "GPU-1"), ("b", "GPU-1")}
    assert freest(states, Need(), taken=taken).best is None


def test_where_an_attempt_has_just_failed_is_the_last_resort():
    states = [state("a"), state("b", gpus(1, 7))]
    avoid = {("a", f"GPU-{number}") for number in range(8)}
    assert order(freest(states, Need(), avoid=avoid)) == ["b:GPU-0", "a:GPU-0"]


@pytest.mark.parametrize(
    ("one", "need", "reason"),
    [
        (
            state("a", gpus(2, 6), load=1.25, price=2.5),
            Need(),
            f"2 of 8 free ({H100}), A/A floor unknown, load 1.2, 2.5 an hour",
        ),
        (state("a", gpus(0, 2)), Need(), "0 of 2 fitting GPUs free: in use by x (1)"),
        (state("a", gpus(0, 1)), Need(), "in use by x (1)"),
        (state("a", gpus(1, kind=A100)), Need(gpu_type="H100"), f"has {A100}, a H100 is needed"),
        (cpu("a"), Need(gpu_type="H100"), "has no GPU, a H100 is needed"),
        (state("a", disk_gib=10), Need(disk_gib=40), "10.0 GiB of disk are free, 40 are needed"),
        (cpu("a", "leased: its supervisor lives"), Need(), "leased: its supervisor lives"),
        (Unusable(Pod("a"), "a: no route to host"), Need(), "a: no route to host"),
    ],
)
def test_each_pod_has_one_reason(one, need, reason):
    [ranked] = freest([one], need).ranked
    assert ranked.reason == reason


def test_a_need_for_memory_is_not_met_by_a_gpu_whose_memory_is_not_told():
    gb10 = state("a", (Slot("GPU-0", Gpu("GPU-0", "NVIDIA GB10", None, None, 0.0)),))
    assert freest([gb10], Need()).best is not None
    [ranked] = freest([gb10], Need(memory_gib=60)).ranked
    assert ranked.reason == "its driver does not say how much memory it has, 60 GiB are needed"


def test_a_slot_that_was_promised_says_so():
    choice = freest([cpu("a")], Need(), taken={("a", "cpu")})
    assert choice.ranked == (Ranked("a", None, "another task of this tick has it"),)
