"""What is said of access records that cannot be kept, in Spanish."""

from collections.abc import Mapping
from typing import Final

ACCESS_DETAILS: Final[Mapping[str, str]] = {
    "access records cannot be kept: {fault}": "no se pueden guardar los registros de acceso: {fault}",
    "too many access records wait to be written": "demasiados registros de acceso esperan a ser escritos",
    "the access could not be put on record": "no se pudo dejar constancia del acceso",
    "{count} accesses are on no record, the last one of {time}": (
        "de {count} accesos no hay constancia; el último es de {time}"
    ),
}
