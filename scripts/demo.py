"""Writes the target repository, measures two commits and a third arm on this machine, and verifies.

Leaves `.paceline/demo/report.json` (the JSON of `paceline bench`) beside the job it came from. The last line
says whether the raw runs give the same result again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / ".paceline" / "demo"
ASK = ["sft", "dpo", "--baseline", "baseline", "--optimized", "optimized"]
PACKING = ["--arm", "packing=optimized,packing=true"]


def paceline(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", *arguments]
    return subprocess.run(command, cwd=DEMO, stdout=subprocess.PIPE, text=True, check=True)


def main() -> None:
    shutil.rmtree(DEMO / "target", ignore_errors=True)
    DEMO.mkdir(parents=True, exist_ok=True)
    (ROOT / ".paceline" / ".gitignore").write_text("*\n", encoding="utf-8")
    print("== writing the target repository", flush=True)
    print(paceline("target", "target").stdout, end="", flush=True)
    print("== measuring 15 runs (about 3 minutes)", flush=True)
    document = paceline("bench", *ASK, *PACKING, "--repo", "target", "--json").stdout
    (DEMO / "report.json").write_text(document, encoding="utf-8")
    [job] = [path for path in (DEMO / ".paceline" / "jobs").iterdir() if is_of(path, document)]
    print(paceline("report", str(job)).stdout)
    print(f"paceline verify {job.relative_to(ROOT)}: {paceline('verify', str(job)).stdout}", end="")


def is_of(job: Path, document: str) -> bool:
    result = job / "result.json"
    return result.is_file() and json.loads(result.read_text()) == json.loads(document)


if __name__ == "__main__":
    main()
