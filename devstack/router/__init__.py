"""A development router: lets any driver use a sharded cluster where there is no `mongos` program.

For development and tests only: production runs `mongos`. A shard's `mongod` can route for the whole
cluster (`clusterFind`, `clusterInsert` …, with the targeting and the read preferences of `mongos`), so this
program only renames those commands on their way to one of the shards' primaries, answers the handshake as
`mongos` does, and carries out the few administrative commands that Rollcall needs. What it does not know it
refuses, rather than let one shard answer for all: it has no transactions, sessions, authentication or TLS.

Usage: python -m devstack.router --configdb config/127.0.0.1:27019 --port 27017
"""
