"""Patterns: what both engines take means what ECMA-262 says; all else is refused, and said why."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.person.schema.errors import WrongPattern
from events.person.schema.patterns import LONGEST_PATTERN, check_pattern, linear_pattern, matches


@pytest.mark.parametrize(
    ("pattern", "taken", "refused"),
    [
        ("b", ["abc", "b"], ["ac"]),  # anywhere in the text
        ("^[A-Z]{2}[0-9]{5}$", ["HR00042"], ["HR0004", "xHR00042", "HR00042\n"]),
        (r"^\d+$", ["12"], ["١٢", "１２"]),
        (r"^\w+$", ["a_1"], ["é"]),
        (r"^\W$", ["é", "-"], ["a"]),
        (r"^[^\W]$", ["a"], ["é"]),
        (r"^[\w-]+$", ["a-b"], ["a b"]),
        (r"^\s$", [" ", "\u00a0", "\ufeff", "\u2029"], ["\u0085", "a"]),
        (r"^\S$", ["\u0085"], ["\u3000"]),
        ("^.$", ["é", "😀", "\u0085"], ["\n", "\r", "\u2028", "\u2029"]),
        (r"\bcat\b", ["a cat", "écaté"], ["cats"]),
        (r"^\p{Lu}\P{L}$", ["É1"], ["é1"]),
        (r"^\p{Script=Greek}+$", ["αβ"], ["ab"]),
        (r"^\u{1F600}$", ["😀"], ["😁"]),
        (r"^\uD83D\uDE00$", ["😀"], ["😁"]),
        (r"^\u0041\x42$", ["AB"], ["ab"]),
        ("^[😀-😂]$", ["😁"], ["😃"]),
        (r"^[\]\[\\^.-]+$", ["][\\^.-"], ["a"]),
        (r"^[a-c-]$", ["-", "b"], ["d"]),
        (r"^\t\n\v\f\r$", ["\t\n\v\f\r"], ["tnvfr"]),
        (r"^\(\)\/\.$", ["()/."], ["()/a"]),
        ("^(?<year>[0-9]{4})-(?:0[1-9]|1[0-2])$", ["2024-05"], ["2024-13"]),
        ("^(a|b)*?c??$", ["abab", "c"], ["d"]),
        ("^#é &~$", ["#é &~"], [""]),
        ("", ["", "a"], []),
    ],
)
def test_a_pattern_means_what_ecma_says(pattern, taken, refused):
    assert check_pattern(pattern) is None
    assert [text for text in taken if not matches(pattern, text)] == []
    assert [text for text in refused if matches(pattern, text)] == []


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        *((f"a({kind}b)", "look-around") for kind in ("?=", "?!", "?<=", "?<!")),
        (r"(a)\1", "back-reference"),
        (r"(?<n>a)\k<n>", "back-reference"),
        *((pattern, "flags") for pattern in ("(?i)a", "(?i:a)", "(?#a)", "(?>a)", "(?", "(?<")),
        ("(?P<n>a)", "(?P"),
        ("(?<n>a)(?<n>b)", "two groups"),
        *((pattern, "ECMA-262 does not take") for pattern in (r"\Aa", r"a\z", r"a\Z", r"\G")),
        *((pattern, "has a [ in a class") for pattern in ("[[:alpha:]]", "[[a]]", "[a[b]")),
        *((pattern, "operator") for pattern in ("[a&&b]", "[a~~b]", "[--a]")),
        *((pattern, "without characters") for pattern in ("[]", "[^]", "[]a]")),
        *((pattern, "range") for pattern in ("[z-a]", r"[a-\d]", r"[\d-a]", "[a--b]", "[a-z-9]")),
        *((f"a{sign}+", "possessive") for sign in ("*", "+", "?", "{2}")),
        *((pattern, "quantifier after") for pattern in ("a**", "a{2}*", "a???")),
        *((pattern, "no width") for pattern in ("^*", "$+", r"\b?")),
        *((pattern, "repeats nothing") for pattern in ("*", "(+)", "a|?")),
        *(
            (pattern, "ends or begins nothing")
            for pattern in ("{", "}", "]", "a{,3}", "a{x}", "a{2}{3}", r"\b{start}")
        ),
        ("a{3,2}", "turned round"),
        ("a{1,100000}", "repeat at most 2,000 times"),
        ("((a{100}){100}){100}", "memory"),
        *((pattern, "without its") for pattern in ("(", ")", "(a", "a)", "[a", r"[\]")),
        *(
            (pattern, "take")
            for pattern in (r"\h", r"\0", r"\cA", r"[\b]", r"[\B]", r"a\B", r"\Q", r"\u12", r"\xg0")
        ),
        *((pattern, "needs none") for pattern in (r"\-", r"\@", r"\ ", r"[\&]", r"\é")),
        *((pattern, "no character") for pattern in (r"\uD83D", r"\uDE00", r"\u{110000}", r"\uD83Dx")),
        *((pattern, "not known") for pattern in (r"\p{Klingon}", r"\pL", r"\p", r"\p{greek}")),
        (r"\p{Script=Klingon}", "no pattern"),
        ("a\\", "backslash"),
        ("a" * (LONGEST_PATTERN + 1), "501 characters"),
        ("(" * 200 + ")" * 200, "deep"),
    ],
)
def test_what_not_both_engines_take_is_refused(pattern, what):
    fault = check_pattern(pattern)
    assert fault is not None
    assert what in str(fault)


@given(st.text(alphabet=r"ab01\dwsbBpuxk{}[]()|*+?^$.-&:=!<>,P é", max_size=12))
def test_any_text_is_a_pattern_or_refused(text):
    if check_pattern(text) is None:
        matches(text, "abé 01")
        # Python reads what is left as both engines do, but for what is ASCII alone, and properties.
        re.compile(re.sub(r"\\[pP]\{[^}]*\}", "x", text).replace("(?<", "(?P<").replace(r"\u{", "x{"))
    else:
        with pytest.raises(WrongPattern):
            raise check_pattern(text)


@given(st.text(max_size=20))
def test_an_escaped_text_matches_itself(text):
    pattern = "".join(f"\\u{{{ord(char):X}}}" for char in text if not 0xD800 <= ord(char) < 0xE000)
    plain = "".join(char for char in text if not 0xD800 <= ord(char) < 0xE000)
    assert check_pattern(pattern) is None or len(pattern) > LONGEST_PATTERN
    if len(pattern) <= LONGEST_PATTERN:
        assert matches(f"^{pattern}$"[:LONGEST_PATTERN], plain) or len(pattern) > LONGEST_PATTERN - 2


def test_a_wrong_pattern_is_never_translated():
    with pytest.raises(WrongPattern, match="look-around"):
        linear_pattern("(?=a)")
