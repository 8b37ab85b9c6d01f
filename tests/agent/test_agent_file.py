"""The file that docs/agent.md shows is one that the agent reads."""

import re
from pathlib import Path

from agent.operator import read_operator

PAGE = Path(__file__).parent.parent.parent / "docs" / "agent.md"


def test_the_documents_file_is_read_with_the_defaults_it_says(tmp_path):
    example, *_ = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "a.toml").write_text(example)
    (tmp_path / "b.toml").write_text('[tracker]\nrepository = "owner/name"\n')
    environment = {"GITHUB_TOKEN": "t" * 40}
    shown, bare = (read_operator(tmp_path / name, environment) for name in ("a.toml", "b.toml"))
    assert (shown.label, shown.url, shown.poll_s, shown.roles, shown.gpu_hours) == (
        bare.label,
        bare.url,
        bare.poll_s,
        bare.roles,
        bare.gpu_hours,
    )
