"""What a recipe needs and a machine lacks, in one sentence."""

import pytest

from agent.needs import GIB, unmet
from bench.plan import Need
from pods.facts import Gpu, Host, NoGpu

HOST = Host(hostname="h", cpu_model="c", cores=2, memory_mib=24 * 1024, boot_id="b", kernel="6")
H100 = Gpu(
    uuid="GPU-1", name="NVIDIA H100 80GB HBM3", memory_total_mib=81559, memory_used_mib=0, utilization_pct=0.0
)

GB10 = Gpu("GPU-2", "NVIDIA GB10", None, None, 0.0)


@pytest.mark.parametrize(
    ("need", "gpus", "lacking"),
    [
        (Need(), NoGpu(), ""),
        (Need(gpu_type="H100", memory_gib=60, disk_gib=40), (H100,), ""),
        (Need(gpu_type="h100"), (H100,), ""),
        (Need(gpu_type="H200"), (H100,), "a H200, this machine has NVIDIA H100 80GB HBM3"),
        (Need(gpu_type="H100"), NoGpu(), "a GPU (H100), this machine has none"),
        (Need(memory_gib=100), (H100,), "100 GiB of memory, NVIDIA H100 80GB HBM3 has 79.6"),
        (Need(memory_gib=1), (GB10,), "1 GiB of memory, the driver does not say how much NVIDIA GB10 has"),
        (Need(gpu_type="GB10"), (GB10,), ""),
        (Need(memory_gib=16), NoGpu(), ""),
        (Need(memory_gib=48), NoGpu(), "48 GiB of memory, this machine has 24.0"),
        (Need(disk_gib=500), NoGpu(), "500 GiB of disk, 50.0 are free"),
    ],
)
def test_what_is_lacking_is_said(need, gpus, lacking):
    assert unmet(need, gpus, HOST, 50 * GIB) == lacking
