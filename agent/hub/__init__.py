"""A tracker in a box: a server that speaks GitHub's REST API over one SQLite file.

Owns issues, comments, labels, reactions, people and their roles; commits come from git repositories on this
disk, which stay where they are. The layout of addresses is that of GitHub Enterprise: pages at the root, REST
under `/api/v3`, the one GraphQL mutation under `/api/graphql`. `serve.Hub` starts it, `python -m agent.hub`
too. Nothing of ours is imported here, so that the tracker never depends on the agent that talks to it.
"""
