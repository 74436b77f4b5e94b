"""Reads a pattern as ECMA-262 defines it, and writes it anew for Rust's engine."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events.person.schema.errors import WrongPattern

MOST_REPEATED: Final = 2_000
"""How often a part may be repeated: no text is longer."""
_SPACES: Final = (
    r"\x{9}-\x{D}\x{20}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}"
)
_CLASSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "d": "[0-9]",
        "D": "[^0-9]",
        "w": "[0-9A-Za-z_]",
        "W": "[^0-9A-Za-z_]",
        "s": f"[{_SPACES}]",
        "S": f"[^{_SPACES}]",
    }
)
_ANY: Final = r"[^\x{A}\x{D}\x{2028}\x{2029}]"
_CONTROLS: Final[Mapping[str, str]] = MappingProxyType(
    {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
)
_SYNTAX: Final = frozenset("^$\\.*+?()[]{}|/")
_HEX: Final = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}")
_LOW_SURROGATE: Final = re.compile(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")
_PROPERTY: Final = re.compile(
    r"[pP]\{(?:(?:L[ultmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cf]?)"
    r"|Alphabetic|Uppercase|Lowercase|White_Space|(?:Script|sc|Script_Extensions|scx)=[A-Z][A-Za-z_]*)\}"
)
_GROUP_NAME: Final = re.compile(r"\?<([A-Za-z_$][A-Za-z0-9_$]*)>")
_REPEAT: Final = re.compile(r"\{([0-9]{1,9})(,([0-9]{1,9})?)?\}")


def translated(pattern: str) -> str:
    """Return a pattern of ECMA-262 as Rust's engine takes it.

    Raises:
        WrongPattern: Not both engines take it.
    """
    return _Translation(pattern).whole()


def _literal(char: str) -> str:
    return char if char.isascii() and char.isalnum() else f"\\x{{{ord(char):X}}}"


class _Translation:
    """Reads a pattern from its beginning to its end, and writes it anew."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._names: set[str] = set()

    def whole(self) -> str:
        """Return the whole pattern anew."""
        text = self._alternatives(depth=0)
        if self._at < len(self._pattern):
            raise WrongPattern("has a ) without its (", r"write \) for the character")
        return text

    def _next(self) -> str:
        """Return the next character, empty at the end."""
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._next()
        self._at += 1
        return char

    def _taken(self, form: re.Pattern[str]) -> re.Match[str] | None:
        """Return what comes next, if it has a form; it is read then."""
        if match := form.match(self._pattern, self._at):
            self._at = match.end()
        return match

    def _alternatives(self, depth: int) -> str:
        """Return what comes next up to the end of its group."""
        written = []
        while (char := self._next()) and char != ")":
            if char == "|":
                written.append(self._take())
                continue
            atom, repeatable = self._atom(depth)
            written.append(atom + self._quantifier(repeatable=repeatable))
        return "".join(written)

    def _atom(self, depth: int) -> tuple[str, bool]:
        """Return what comes next that can be repeated, or cannot."""
        char = self._take()
        match char:
            case "^" | "$":
                return char, False
            case ".":
                return _ANY, True
            case "(":
                return self._group(depth + 1), True
            case "[":
                return self._class(), True
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise WrongPattern(f"has a {char} that repeats nothing", f"write \\{char} for the character")
            case "{" | "}" | "]":
                raise WrongPattern(
                    f"has a {char} that ends or begins nothing", f"write \\{char} for the character"
                )
            case _:
                return _literal(char), True

    def _quantifier(self, *, repeatable: bool) -> str:
        """Return how often what came before is repeated; empty for once."""
        if match := self._taken(_REPEAT):
            least, most = int(match[1]), int(match[3] or match[1])
            if least > most:
                raise WrongPattern(
                    f"has {match[0]}, whose numbers are turned round", "write the lower one first"
                )
            if most > MOST_REPEATED:
                raise WrongPattern(f"has {match[0]}", f"repeat at most {MOST_REPEATED:,} times")
            quantifier = match[0]
        elif self._next() in ("*", "+", "?") and self._next():
            quantifier = self._take()
        else:
            return ""
        if not repeatable:
            raise WrongPattern(f"has {quantifier} after what has no width", "leave it out")
        if self._next() == "?":
            quantifier += self._take()
        if self._next() == "+":
            raise WrongPattern(f"has the possessive {quantifier}+", f"write {quantifier}")
        if self._next() in ("*", "?") and self._next():
            raise WrongPattern("has a quantifier after a quantifier", "put a group around what is repeated")
        return quantifier

    def _group(self, depth: int) -> str:
        """Return a group whose parenthesis was read."""
        if depth > 50:
            raise WrongPattern("has groups in groups, more than 50 deep", "write fewer")
        rest = self._pattern[self._at :]
        if rest.startswith(("?=", "?!", "?<=", "?<!")):
            raise WrongPattern(
                "has a look-around, which takes more than linear time", "write what the text is"
            )
        if rest.startswith("?P"):
            raise WrongPattern("has (?P, which ECMA-262 does not take", "write (?:…)")
        if match := self._taken(_GROUP_NAME):
            if match[1] in self._names:
                raise WrongPattern(f"has two groups called {match[1]}", "write (?:…)")
            self._names.add(match[1])
        elif rest.startswith("?:"):
            self._at += 2
        elif rest.startswith("?"):
            raise WrongPattern(
                "has flags or another (?…", "write (?:…), and [Aa] for a letter of either case"
            )
        text = self._alternatives(depth)
        if self._take() != ")":
            raise WrongPattern("has a ( without its )", r"write \( for the character")
        return f"(?:{text})"

    def _escape(self) -> tuple[str, bool]:
        """Return an escape outside of a class, whose backslash was read."""
        if self._next() == "b":
            self._take()
            return r"(?-u:\b)", False
        written, char = self._shared_escape()
        return written or _literal(char), True

    def _shared_escape(self) -> tuple[str, str]:
        """Return an escape that classes have, too: the class that it is, or the one character."""
        if match := self._taken(_PROPERTY):
            return f"\\{match[0]}", ""
        if match := self._taken(_HEX):
            return "", self._code_point(int(match[1] or match[2] or match[3], 16))
        char = self._take()
        if char in _CLASSES:
            return _CLASSES[char], ""
        if char in _CONTROLS:
            return "", _CONTROLS[char]
        if char in _SYNTAX:
            return "", char
        raise _unknown_escape(char)

    def _code_point(self, code: int) -> str:
        """Return the character of a number; of a surrogate, with the one that follows."""
        if 0xD800 <= code < 0xDC00 and (match := self._taken(_LOW_SURROGATE)):
            return chr(0x10000 + ((code - 0xD800) << 10) + (int(match[1], 16) - 0xDC00))
        if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
            raise WrongPattern(
                f"has the number {code:X}, which is no character's", "write the character itself"
            )
        return chr(code)

    def _class(self) -> str:
        """Return a class whose bracket was read."""
        negated = self._next() == "^" and bool(self._take())
        if self._next() == "]":
            raise WrongPattern("has a class without characters", r"write \] for the character")
        written: list[str] = []
        first = True
        while (char := self._next()) != "]":
            if not char:
                raise WrongPattern("has a [ without its ]", r"write \[ for the character")
            written.append(self._class_item(first=first))
            first = False
        self._take()
        return f"[{'^' if negated else ''}{''.join(written)}]"

    def _class_item(self, *, first: bool) -> str:
        """Return a character, a range or a class in a class."""
        written, char = self._class_atom()
        if char == "-" and self._pattern[self._at - 1] == "-" and self._pattern[self._at - 2] != "\\":
            if not first and self._next() != "]":
                raise WrongPattern("has a - in a class that is no range", r"write \- for the character")
            return _literal(char)
        if self._next() != "-" or self._pattern[self._at + 1 : self._at + 2] in ("]", ""):
            return written or _literal(char)
        self._take()
        written_last, last = self._class_atom()
        if written or written_last or last == "-" or char > last:
            raise WrongPattern("has a range in a class that is none", r"write \- for the character")
        return f"{_literal(char)}-{_literal(last)}"

    def _class_atom(self) -> tuple[str, str]:
        char = self._take()
        if char == "[":
            raise WrongPattern("has a [ in a class", r"write \[ for the character; no class is in another")
        doubled = char == self._next() and char in "&-~!#$%*+,.:;<=>?@^`"
        if doubled:
            raise WrongPattern(
                f"has {char}{char} in a class, which engines take for an operator", "write it once"
            )
        if char != "\\":
            return "", char
        if self._next() == "-":
            return "", self._take()
        return self._shared_escape()


def _unknown_escape(char: str) -> WrongPattern:
    if not char:
        return WrongPattern("ends with a backslash", r"write \\ for the character")
    if char in "123456789k":
        return WrongPattern(f"has the back-reference \\{char}", "write out what it refers to")
    if char in "AzZG":
        return WrongPattern(
            f"has \\{char}, which ECMA-262 does not take", "write ^ for the beginning, $ for the end"
        )
    if char in "pP":
        return WrongPattern(
            f"has a \\{char} that is not known", r"write \p{L}, \p{Lu}, \p{Nd} or \p{Script=Greek}, say"
        )
    if char == "B":  # Rust's is one of bytes: it is also between those of one character
        return WrongPattern(
            r"has \B, which not both engines take", r"write [\w][\w] or so for what is around it"
        )
    if char.isascii() and char.isalnum():
        return WrongPattern(f"has \\{char}, which not both engines take", "write the character itself")
    return WrongPattern(f"has \\{char}, a backslash before what needs none", f"write {char}")
