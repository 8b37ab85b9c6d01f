"""Making a pod ready: the first time it says what it changed, the second time there is nothing to say."""

from __future__ import annotations

import pytest

from pods import answers, job
from pods.archive import supervisor_archive
from pods.job import JobSpec
from pods.paths import JobPaths

pytestmark = pytest.mark.ssh


@pytest.fixture
def bootstrapped(daemon):
    pod = daemon.pod()

    def ask():
        argv = ["bootstrap", "--machine", str(pod.machine), "--workspace", str(pod.workspace)]
        return answers.bring(daemon.shell(), supervisor_archive(), argv)

    return ask


def test_folders_are_made_once(bootstrapped, daemon):
    pod = daemon.pod()
    first = bootstrapped()
    assert first["lacks"] == []
    assert first["changed"][0] == f"made {pod.machine}"
    assert first["changed"][-1] == f"made {pod.workspace}/jobs"
    assert bootstrapped() == {"changed": [], "lacks": []}
    assert (pod.machine / "leases").stat().st_mode & 0o777 == 0o777


def test_a_pod_that_is_ready_takes_a_job(bootstrapped, daemon):
    bootstrapped()
    paths = JobPaths(daemon.pod().workspace / "jobs" / "x")
    spec = JobSpec(paths, "x", "0123456789ab", "cpu", 60.0, ("true",))
    assert job.prepare(daemon.shell(), spec, {}) == job.Prepared()
