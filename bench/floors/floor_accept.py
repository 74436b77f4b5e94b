"""The floor of `accept`: bare FastAPI, a pydantic model of a person, one confirmed publish, 202.

The same I/O as the command API's POST /people: read the body, publish one persistent and mandatory
message of the same size to the same exchange and quorum queues, wait for the broker's
confirm, answer 202 with the ids. The same checks of form: types, lengths, patterns, a real date, an
e-mail address. Not here: tokens, scopes, normalisation, numbering plans, deadlines, reconnecting, bounds,
metrics, logs, problem responses.

It publishes through the AMQP client's lower layer, aiormq, and reads the body straight into the model,
because both are faster than the usual ways (aio-pika's exchange, FastAPI's body parameter).
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Literal
from zlib import crc32

import aiormq
import orjson
import uuid_utils
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response
from pamqp.commands import Basic
from pydantic import BaseModel, ConfigDict, EmailStr, StringConstraints, ValidationError

PARTITIONS = int(os.environ["ROLLCALL_PARTITIONS"])
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=r"^[\p{L}\p{M} '.\-]+$", strip_whitespace=True),
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class Person(BaseModel):
    """A new person, as the load generator sends it."""

    model_config = ConfigDict(extra="forbid")

    document_type: Literal["Cédula", "Tarjeta de identidad", "Cédula de extranjería", "Pasaporte"]
    document_id: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9\-]{1,30}[A-Z0-9]$")]
    first_name: Name
    middle_name: Name | None = None
    last_name: Name
    birth_date: date
    gender: Literal["Femenino", "Masculino", "No binario", "Prefiero no decir"]
    email: EmailStr
    phone: Annotated[str, StringConstraints(pattern=r"^\+[1-9]\d{6,14}$")]
    address: Text | None = None
    occupation: Text | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold one connection with one confirming channel."""
    connection = await aiormq.connect(os.environ["ROLLCALL_AMQP_URL"])
    app.state.channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    yield
    await connection.close()


app = FastAPI(lifespan=lifespan, telemetry={"tracing": False, "metrics": False, "logs": False})


@app.post("/people")
async def create_person(request: Request) -> Response:
    """Validate, publish, and answer once the broker has confirmed."""
    try:
        person = Person.model_validate_json(await request.body())
    except ValidationError as exc:
        return Response(exc.json(), 422, media_type="application/json")
    command_id, person_id = str(uuid_utils.uuid7()), str(uuid_utils.uuid7())
    message = {
        "specversion": "1.0",
        "id": command_id,
        "source": "/floor/command-api",
        "type": "person.create",
        "subject": person_id,
        "time": "2026-01-01T00:00:00.000Z",
        "datacontenttype": "application/json",
        "schemaversion": 1,
        "partitionkey": person_id,
        "actor": "bench",
        "correlationid": command_id,
        "sourceaddress": "127.0.0.1",
        "data": person.__dict__,
    }
    properties = Basic.Properties(
        content_type="application/cloudevents+json",
        delivery_mode=2,
        message_id=command_id,
        message_type="person.create",
    )
    await request.app.state.channel.basic_publish(
        orjson.dumps(message),
        exchange="commands",
        routing_key=str(crc32(person_id.encode()) % PARTITIONS),
        properties=properties,
        mandatory=True,
        wait=False,
    )
    body = {"person_id": person_id, "command_id": command_id, "status": "accepted"}
    return Response(orjson.dumps(body), 202, media_type="application/json")


if __name__ == "__main__":
    port = int(os.environ["BENCH_PORT"])
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", log_config=None, access_log=False, ws="none")
