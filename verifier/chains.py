"""Judges each person's stream: do its events follow one another, and agree with checkpoints?"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from verifier.findings import Finding, Kind

GENESIS: Final = "0" * 64
"""`prev` of a person's first event."""
_PERSON: Final = itemgetter(0)


class Link(NamedTuple):
    """An event as the chain sees it.

    Attributes:
        person_id: Whose.
        version: Its place in the stream.
        prev: The hash that it says the event before it has.
        hash: The hash that it says it has.
        sealed: The hash that its content has.
        event_id: Its id.
        line: Where it was read, if from an export.
        fault: Why its form is none, or its opened values are not those that were sealed; None if all is good.
        proved: How many of its sealed values are laid open and proved.
        withheld: How many have a commitment in their place.
        cut: Whether what came before it was cut off, and what it held taken out, as of access records whose
            time is over.
    """

    person_id: str
    version: int
    prev: str
    hash: str
    sealed: str
    event_id: str
    line: int | None = None
    fault: str | None = None
    proved: int = 0
    withheld: int = 0
    cut: bool = False


class Head(NamedTuple):
    """The last event of a stream."""

    person_id: str
    version: int
    hash: str


class Recorded(NamedTuple):
    """A head that a checkpoint recorded."""

    person_id: str
    version: int
    hash: str
    checkpoint: int


class Verdict(NamedTuple):
    """What came of one stream.

    Attributes:
        person_id: Whose.
        events: How many events there are.
        head: Its last event, if all of it is good.
        finding: Its first bad version, if it is not.
        proved: How many values of its good events are laid open and proved.
        withheld: How many of them have a commitment in their place.
    """

    person_id: str
    events: int
    head: Head | None
    finding: Finding | None
    proved: int = 0
    withheld: int = 0


def walk(links: Iterable[Link], recorded: Iterable[Recorded] = ()) -> Iterator[Verdict]:
    """Judge every stream, in memory for one event.

    Args:
        links: All events, in order of person and version.
        recorded: The heads that checkpoints recorded, in order of person and checkpoint.

    Yields:
        A verdict on each person of either, in order.
    """
    known = ((person_id, list(heads)) for person_id, heads in groupby(recorded, _PERSON))
    waiting = next(known, None)
    for person_id, events in groupby(links, _PERSON):
        while waiting and waiting[0] < person_id:
            yield _judge(*waiting, ())
            waiting = next(known, None)
        if waiting and waiting[0] == person_id:
            yield _judge(*waiting, events)
            waiting = next(known, None)
        else:
            yield _judge(person_id, (), events)
    while waiting:
        yield _judge(*waiting, ())
        waiting = next(known, None)


def _judge(person_id: str, recorded: Sequence[Recorded], links: Iterable[Link]) -> Verdict:
    stream, count = _Stream(person_id, recorded), 0
    for link in links:
        stream.add(link)
        count += 1
    finding = stream.end()
    head = None if finding else Head(person_id, stream.version, stream.hash)
    return Verdict(person_id, count, head, finding, stream.proved, stream.withheld)


class _Stream:
    """One person's events so far: the last good one, or what is wrong."""

    __slots__ = (
        "_confirmed",
        "_finding",
        "_person_id",
        "_recorded",
        "_unlinked",
        "hash",
        "proved",
        "version",
        "withheld",
    )

    def __init__(self, person_id: str, recorded: Sequence[Recorded]) -> None:
        self.version, self.hash = 0, GENESIS
        self.proved = self.withheld = 0
        self._person_id = person_id
        self._recorded = recorded
        self._confirmed = 0
        self._unlinked: Link | None = None
        self._finding: Finding | None = None

    def add(self, link: Link) -> None:
        """Take the next event; after a bad one, none is looked at."""
        if self._finding:
            return
        if link.cut:
            self._begin_at(link)
        if self._finding:
            return
        if self._unlinked:
            self._break(self._unlinked, link)
        elif link.version != self.version + 1:
            self._out_of_turn(link)
        elif link.sealed != link.hash:
            self._find("altered", link, "it was altered: its hash is not that of its content")
        elif link.fault:
            self._find("damaged", link, f"it is damaged: {link.fault}")
        elif link.prev != self.hash:
            if link.version == 1:
                self._find("unlinked", link, "it says that an event came before it, and none can")
            self._unlinked = link
        else:
            self.version, self.hash = link.version, link.hash
            self.proved += link.proved
            self.withheld += link.withheld
            if self._recorded:
                self._compare(link)

    def _begin_at(self, link: Link) -> None:
        """Take a stream to begin here, if a checkpoint signed it up to here; without any, nothing tells."""
        if self.version == 0 and not self._unlinked:
            self.version, self.hash = link.version - 1, link.prev
        if self._recorded and all(one.version != link.version for one in self._recorded):
            self._find("truncated", link, "cut off up to here, where no checkpoint had signed it")

    def end(self) -> Finding | None:
        """Return the first bad version after the last event, or None when all is good."""
        if not self._finding and self._unlinked:
            self._break(self._unlinked, None)
        if not self._finding:
            self._look_for_more()
        return self._finding

    def _break(self, link: Link, following: Link | None) -> None:
        """Say which of two events that are good in themselves, but do not fit, is the bad one.

        An event is vouched for by the next one, which holds its hash, or by a checkpoint. If `link` is
        vouched for and the one before it is not, that one was exchanged for another.
        """
        vouched = following is None or following.prev == link.hash
        if vouched and link.version - 1 > self._confirmed:
            text = f"it was replaced: version {link.version} was made to follow another one"
            self._finding = Finding("replaced", text, self._person_id, link.version - 1)
        else:
            self._find("unlinked", link, f"it does not follow version {link.version - 1} as that is now")

    def _out_of_turn(self, link: Link) -> None:
        expected = self.version + 1
        if link.version > expected:
            text = f"it is missing: after version {self.version} comes version {link.version}"
            if self.version == 0:
                text = f"it is missing: the first one there is version {link.version}"
            self._finding = Finding("missing", text, self._person_id, expected)
        elif link.version < 1:
            self._find("unlinked", link, "no event can have this version")
        else:
            self._find("doubled", link, "it is there more than once")

    def _compare(self, link: Link) -> None:
        for one in self._recorded:
            if one.version != link.version:
                continue
            if one.hash != link.hash:
                since = self._confirmed + 1
                what = "it was" if since == one.version else f"all from version {since} to it were"
                text = f"{what} rewritten: checkpoint {one.checkpoint} recorded another one"
                self._find("rewritten", link, text, one.checkpoint)
                return
            self._confirmed = link.version

    def _look_for_more(self) -> None:
        more = [one for one in self._recorded if one.version > self.version]
        if not more:
            return
        last = max(more, key=itemgetter(1))
        if self.version == 0:
            kind: Kind = "removed"
            text = f"the person was removed: checkpoint {last.checkpoint} recorded version {last.version}"
        else:
            kind = "truncated"
            text = f"cut off here: checkpoint {last.checkpoint} recorded version {last.version}"
        self._finding = Finding(kind, text, self._person_id, self.version + 1, checkpoint=last.checkpoint)

    def _find(self, kind: Kind, link: Link, text: str, checkpoint: int | None = None) -> None:
        self._finding = Finding(
            kind, text, self._person_id, link.version, link.event_id, link.line, checkpoint
        )
