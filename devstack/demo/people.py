"""Plausible people who do not exist, the same ones every time; knows nothing of how they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TypeVar

Choice = TypeVar("Choice")

_FEMALE = (
    "Ana", "María", "Valentina", "Sofía", "Camila", "Luisa", "Daniela", "Paula", "Carolina",
    "Isabel", "Lucía", "Grace", "Ada", "Emily", "Olivia", "Charlotte", "Amelia", "Hannah",
)  # fmt: skip
_MALE = (
    "Santiago", "Mateo", "Juan", "Andrés", "Felipe", "Camilo", "Sebastián", "Diego", "Carlos",
    "Jorge", "Nicolás", "Alan", "Edward", "James", "Oliver", "Henry", "Thomas",
)  # fmt: skip
_EITHER = ("Alex", "Robin", "Noa", "Cruz", "Sam", "Trinidad", "Jordan")
_FAMILY = (
    "García", "Rodríguez", "Martínez", "López", "González", "Hernández", "Ramírez", "Torres",
    "Muñoz", "Peña", "Gómez", "Díaz", "Vargas", "Castro", "Restrepo", "Ospina", "Zapata", "Quintero",
    "Lovelace", "Turing", "Hopper", "Taylor", "Walker", "Hughes", "Bennett", "Morgan", "O'Brien",
)  # fmt: skip
_OCCUPATIONS = (
    "Ingeniera de software", "Médico", "Enfermera", "Profesora", "Abogado", "Arquitecta",
    "Contador", "Electricista", "Carpintero", "Agricultora", "Estudiante", "Periodista",
    "Nurse", "Teacher", "Accountant", "Software engineer", "Librarian", "Chef",
)  # fmt: skip
_STREETS = ("Calle", "Carrera", "Avenida", "Transversal", "Diagonal")
_CITIES = (
    "Bogotá", "Medellín", "Cali", "Barranquilla", "Cartagena", "Bucaramanga", "Pereira",
    "Manizales", "Santa Marta", "Ibagué", "Pasto", "Popayán",
)  # fmt: skip
_PREFIXES = (300, 301, 302, 304, 310, 311, 312, 313, 314, 315, 316, 317, 318, 320, 321)
_GENDERS = ("Femenino", "Masculino", "Femenino", "Masculino", "No binario", "Prefiero no decir")
_DOCUMENTS = (
    "Cédula", "Cédula", "Cédula", "Cédula", "Tarjeta de identidad", "Cédula de extranjería",
    "Pasaporte",
)  # fmt: skip
_FIRST_BIRTH = date(1940, 1, 1)
_BIRTH_DAYS = 25_000  # until June 2008
_PLAIN = str.maketrans("áéíóúñÁÉÍÓÚÑ", "aeiounAEIOUN", "' ")


def demo_person(i: int) -> dict[str, str]:
    """One person, as a client would send it to `POST /people`.

    Args:
        i: Which one; 0 or more. Documents and e-mail addresses differ for any two below
            100,000,000, telephone numbers for any two below 10,000,000.

    Returns:
        The fields, all valid; some people have no middle name, address or occupation.
    """
    dice = Dice(i)
    gender = dice.pick(_GENDERS)
    first_names = {"Femenino": _FEMALE, "Masculino": _MALE}.get(gender, _EITHER)
    first, last = dice.pick(first_names), f"{dice.pick(_FAMILY)} {dice.pick(_FAMILY)}"
    born = _FIRST_BIRTH + timedelta(days=dice.below(_BIRTH_DAYS))
    plain = f"{first}.{last.split()[0]}".translate(_PLAIN).lower()
    person = {
        "document_type": dice.pick(_DOCUMENTS),
        "document_id": str(1_000_000_000 + i),
        "first_name": first,
        "last_name": last,
        "birth_date": born.isoformat(),
        "gender": gender,
        "email": f"{plain}.{i}@example.{dice.pick(('com', 'org'))}",
        "phone": f"+57{_PREFIXES[i % len(_PREFIXES)]}{(i * 7_919 + 1_234_567) % 10_000_000:07d}",
    }
    middle = dice.pick(first_names)
    if dice.below(3) and middle != first:
        person["middle_name"] = middle
    if dice.below(8):
        number = f"{dice.below(170) + 1} # {dice.below(90) + 1}-{dice.below(90) + 10}"
        person["address"] = f"{dice.pick(_STREETS)} {number}, {dice.pick(_CITIES)}"
    if dice.below(6):
        person["occupation"] = dice.pick(_OCCUPATIONS)
    return person


class Dice:
    """A small generator of its own: quick to seed, and the same on every Python (SplitMix64).

    Args:
        seed: Which one.
    """

    def __init__(self, seed: int) -> None:
        self._state = seed

    def below(self, limit: int) -> int:
        """Return a number from 0 on, below a limit."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return (mixed ^ (mixed >> 31)) % limit

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """Return one of some choices."""
        return choices[self.below(len(choices))]
