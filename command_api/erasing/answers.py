"""What is told of a person who was erased."""

from typing import Literal

from pydantic import BaseModel

from service_kit.http.formats import Id


class ErasedPerson(BaseModel):
    """What is told of a person who was erased."""

    id: Id
    version: int
    erased: Literal[True]
