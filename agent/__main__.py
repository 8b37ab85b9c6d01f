"""`python -m agent` is `paceline`."""

from agent.cli import main

main()
