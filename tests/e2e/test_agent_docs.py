"""The worked example of docs/agent.md, as it stands there, but for the port."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemons.sshd import free_port

DOCS = Path(__file__).parents[2] / "docs" / "agent.md"


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("curl")), reason="needs jq and curl")
def test_an_issue_is_filed_on_the_hub_as_the_documents_say(tmp_path):
    port = free_port()
    text = DOCS.read_text().split("## An issue on `paceline hub`")[1].replace("8000", str(port))
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    [(_, hub), (_, config), (_, issue), (_, file), (_, look)] = blocks
    (tmp_path / "paceline-agent.toml").write_text(config)
    (tmp_path / "issue.md").write_text(issue)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "paceline").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m agent "$@"\n')
    (programs / "paceline").chmod(0o755)
    root = str(DOCS.parents[1])
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": root,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PACELINE_MACHINE": str(tmp_path / "machine"),
    }

    def run(script):
        command = ["bash", "-c", script]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
        )

    first, serve = hub.strip().splitlines()
    assert run(first).returncode == 0
    served = subprocess.Popen(
        ["bash", "-c", f"exec {serve}"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert served.stdout.readline() == f"http://127.0.0.1:{port}\n"
        filed = run(file)
        assert json.loads(filed.stdout)["number"] == 1, filed.stderr
        *looks, agent, watch = look.strip().splitlines()
        assert (agent, watch) == ("paceline agent", "paceline watch 1")
        told = run("\n".join(looks))
        assert "ok   tracker: acme/target as bot (write)" in told.stdout
        assert "#1: would post progress: approved" in told.stdout + told.stderr
    finally:
        served.terminate()
        served.communicate(timeout=30)
