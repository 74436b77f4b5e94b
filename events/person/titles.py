"""What people call the columns of a file in Spanish and English, beside the fields' own names. Pure."""

import unicodedata
from types import MappingProxyType
from typing import Final

TITLES: Final = MappingProxyType(
    {
        "id": ("Person id", "ID de persona"),
        "document_type": (
            *("Tipo de documento", "Tipo documento", "Tipo doc", "Tipo de doc.", "Tipo de identificación"),
            *("Tipo identificación", "Tipo ID", "Type of document", "Doc type", "ID type"),
        ),
        "document_id": (
            *(
                "Número de documento",
                "Número documento",
                "N.º de documento",
                "N.º documento",
            ),
            *("Nro. de documento", "Nro. documento", "Núm. documento", "Documento", "Documento de identidad"),
            *("Número de identificación", "Identificación", "Cédula", "Document number", "Document no."),
            *("Document", "ID no.", "ID number", "Identification number", "Identification"),
        ),
        "first_name": ("Nombre", "Nombres", "Primer nombre", "Given name", "Given names", "Forename"),
        "middle_name": ("Segundo nombre", "Otros nombres", "Second name", "Middle names"),
        "last_name": ("Apellido", "Apellidos", "Primer apellido", "Surname", "Surnames", "Family name"),
        "birth_date": (
            *("Fecha de nacimiento", "Fecha nacimiento", "F. nacimiento", "Nacimiento", "Date of birth"),
            *("Birthday", "DOB", "Fec. nacimiento", "Fec. de nacimiento", "F. de nacimiento", "Fecha nac."),
        ),
        "gender": ("Género", "Sexo", "Sex"),
        "email": (
            *("Correo", "Correo electrónico", "Dirección de correo", "Dirección de correo electrónico"),
            *("Email address", "Mail"),
        ),
        "phone": (
            *("Teléfono", "Número de teléfono", "Tel.", "Celular", "Número de celular", "Móvil"),
            *("Teléfono móvil", "Phone number", "Telephone", "Telephone number", "Mobile", "Mobile phone"),
            *("Cell phone", "Teléfono celular", "Número celular", "Número telefónico"),
        ),
        "address": (
            *("Dirección", "Dirección de residencia", "Dirección residencia", "Domicilio"),
            *("Home address", "Street address"),
        ),
        "occupation": ("Ocupación", "Profesión", "Oficio", "Cargo", "Profession", "Job", "Job title"),
    }
)
"""By field; a title stands for one field alone."""


def title_key(title: str) -> str:
    """Return what a title is compared by: case, accents, spaces and punctuation do not count."""
    letters = unicodedata.normalize("NFKD", title).casefold()
    # A title of signs alone, such as #, is compared as it is.
    return "".join(char for char in letters if char.isalnum()) or letters.strip()


FIELD_OF: Final = MappingProxyType(
    {title_key(title): name for name, titles in TITLES.items() for title in (name, *titles)}
)
"""By the key of a title, the field that it stands for."""
