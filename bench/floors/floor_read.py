"""The floor of `read`: bare FastAPI and the same two queries on the same collection.

The same I/O as the query API: by id, one find on a secondary with majority read concern; the page, one
find of the same filter, projection, order and limit on the same index, with the place after which it
begins. Documents go out as they come in, through orjson, which is faster than a response model. Not here:
tokens, scopes, checked parameters, ETags, links, opaque cursors, deadlines, metrics, problem responses.
"""

import os
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response
from pymongo import AsyncMongoClient
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import SecondaryPreferred

HIDDEN = {"hash": 0, "projection": 0, "image_id": 0}
app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["ROLLCALL_MONGO_URI"])
people = client.get_database(
    os.environ["ROLLCALL_MONGO_DB"],
    read_preference=SecondaryPreferred(),
    read_concern=ReadConcern("majority"),
)["people"]


@app.get("/people")
async def page(request: Request) -> Response:
    """Return 50 people in the order of their last names, after the last one of the page before."""
    wanted: dict[str, Any] = {"keys.last_name": {"$gte": ""}}
    if (key := request.query_params.get("key")) is not None:
        last_id = request.query_params["id"]
        wanted = {
            "$and": [
                {"keys.last_name": {"$gte": key}},
                {"$or": [{"keys.last_name": {"$gt": key}}, {"_id": {"$gt": last_id}}]},
            ]
        }
    order = [("keys.last_name", 1), ("_id", 1)]
    found = await people.find(wanted, HIDDEN, sort=order, limit=-51).to_list()
    following = None
    if len(found) > 50:
        found.pop()
        following = {"key": found[-1]["keys"]["last_name"], "id": found[-1]["_id"]}
    for person in found:
        del person["keys"]
        person["id"] = person.pop("_id")
    content = orjson.dumps({"items": found, "next": following})
    return Response(content, media_type="application/json")


@app.get("/people/{person_id}")
async def person(person_id: str) -> Response:
    """Return one person."""
    found = await people.find_one({"_id": person_id}, {**HIDDEN, "keys": 0})
    if found is None:
        return Response(b'{"detail":"Not Found"}', 404, media_type="application/json")
    found["id"] = found.pop("_id")
    return Response(orjson.dumps(found), media_type="application/json")


if __name__ == "__main__":
    port = int(os.environ["BENCH_PORT"])
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", log_config=None, access_log=False, ws="none")
