"""Reads docker-compose.yml as Compose does: YAML with merges, then variables from an environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "docker-compose.yml"
# https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md, the forms that we use.
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<kind>:-|:\?)(?P<rest>[^}]*))?\})")


class Missing(Exception):
    """A variable that is needed is not set."""


def interpolate(node: Any, environ: Mapping[str, str]) -> Any:
    """Return a node of the file with its variables replaced."""

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        if found := environ.get(match["name"]):
            return found
        if match["kind"] == ":-":
            return match["rest"]
        raise Missing(match["rest"] or match["name"])

    if isinstance(node, str):
        return _VARIABLE.sub(value, node)
    if isinstance(node, list):
        return [interpolate(item, environ) for item in node]
    if isinstance(node, dict):
        return {key: interpolate(item, environ) for key, item in node.items()}
    return node


def variables(node: Any) -> set[str]:
    """Return the names of the variables that a node uses, those of its secrets too."""
    if isinstance(node, str):
        return {match["name"] for match in _VARIABLE.finditer(node) if match["name"]}
    if isinstance(node, list):
        return set().union(*map(variables, node))
    if isinstance(node, dict):
        own = {node["environment"]} if isinstance(node.get("environment"), str) else set()
        return own.union(*map(variables, node.values()))
    return set()


def read() -> dict[str, Any]:
    """Return the file without what it only defines to be merged elsewhere; variables as they stand."""
    whole = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return {key: value for key, value in whole.items() if not key.startswith("x-")}


@dataclass(frozen=True)
class ComposeFile:
    """The file, its variables replaced."""

    content: dict[str, Any]
    environ: Mapping[str, str]

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> "ComposeFile":
        """Read it.

        Raises:
            Missing: The environment lacks a variable.
        """
        return cls(interpolate(read(), environ), environ)

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        """The services by name."""
        return self.content["services"]

    def running(self, program: str) -> dict[str, dict[str, Any]]:
        """The services whose command begins with a program."""
        return {name: one for name, one in self.services.items() if one.get("command", [""])[0] == program}

    def image(self, repository: str) -> dict[str, dict[str, Any]]:
        """The services of an image, whatever its tag."""
        return {n: one for n, one in self.services.items() if one["image"].partition(":")[0] == repository}

    def files(self, service: str) -> dict[str, str]:
        """The configurations and secrets of a service: the content by its path in the container."""
        found = {}
        for kind in ("configs", "secrets"):
            for use in self.services[service].get(kind, []):
                source = self.content[kind][use["source"]]
                if "file" in source:
                    text = (ROOT / source["file"]).read_text(encoding="utf-8")
                else:
                    text = source.get("content") or self.environ[source["environment"]]
                found[use["target"]] = text
        return found


def size(text: str) -> int:
    """Return a size such as `768m`, in bytes."""
    return int(text[:-1]) * {"m": 2**20, "g": 2**30}[text[-1]]
