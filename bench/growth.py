"""Measures `growth`: one person by id and a page of 50, with ten and a hundred times as many people."""

from __future__ import annotations

import random
from itertools import islice
from statistics import median

from bench.accept import measured
from bench.load import Job, request
from bench.read import BY_ID_REQUESTS, DEPTH, fill, walk_ours
from bench.results import Row, beside, note
from bench.sizes import Sizes
from bench.stack import PEOPLE, Running, Stack

WANTED = 0.8
"""Of the rate with the fewest people: the cost is flat within a fifth."""
PAGES = 100


def growth(stack: Stack, sizes: Sizes) -> list[Row]:
    """Fill a database of each size, and read all of them in turns."""
    services: dict[int, Running] = {}
    requests: dict[str, dict[int, list[bytes]]] = {"read by id": {}, "page of 50": {}}
    for count in sizes.growth:
        database = f"{PEOPLE}_{count}"
        ids = fill(stack, database, count)
        services[count] = stack.service("query_api", database)
        chosen = random.Random(7).choices(ids, k=BY_ID_REQUESTS)
        requests["read by id"][count] = [
            request("GET", f"/people/{one}", token=stack.token) for one in chosen
        ]
        # From anywhere in the order, not just from its beginning.
        targets = list(islice(walk_ours(services[count].port, stack.token), PAGES))
        requests["page of 50"][count] = [request("GET", target, token=stack.token) for target in targets]
    rows = []
    for what, by_size in requests.items():
        rates: dict[int, list[float]] = {count: [] for count in sizes.growth}
        for _ in range(sizes.pairs):
            for count in sizes.growth:
                job = Job(services[count].port, by_size[count], DEPTH, sizes.seconds)
                rates[count].append(measured(stack, job, services[count], 200).rate)
                note(f"  {what} of {count:9,} {rates[count][-1]:8,.0f}/s")
        least, *more = sizes.growth
        few = median(rates[least])
        rows += [
            beside(f"{what} of {count:,}", f"{least:,}", median(rates[count]), few, WANTED) for count in more
        ]
    for service in services.values():
        stack.end(service)
    return rows
