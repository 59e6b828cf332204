"""The composition root: Config → running daemon. It owns every lifetime; nothing else starts a part.

`running` starts and ends a daemon. Its parts are wired in three groups, each of which needs those before it: `models`
answer, `projects` are known, `doors` are what HTTP serves. `control` is what may be seen of it and done with it.
"""
