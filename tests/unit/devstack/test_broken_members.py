"""What is done about a broker's node whose queues are down although it could serve, and when."""

import json

import pytest

from devstack.servers.broken_members import DOWN_SECONDS, NodeReport, Remedy, RestartRule, understood

BROKEN = NodeReport(("commands.0",), most_run=True, alarm=False)
WELL = NodeReport((), most_run=True, alarm=False)
LOST = NodeReport((), most_run=True, alarm=False, lost=True)
UP = "commands.0\tquorum\t[a@h, a-1@h, b@h]\t[a@h, a-1@h, b@h]\trunning\n"
GONE = "events.log\trabbit_stream_queue\t\t\tdown\n"


def status(*running: str, every: tuple[str, ...] = ("a@h", "a-1@h", "b@h")) -> str:
    return json.dumps({"disk_nodes": every, "running_nodes": running or every})


def done(rule: RestartRule, word: NodeReport | None, begin: int, end: int) -> list[tuple[int, Remedy]]:
    """What a rule does that hears the same every 15 s, and when."""
    told = [(now, rule.due(now, word)) for now in range(begin, end, 15)]
    return [(now, remedy) for now, remedy in told if remedy]


def test_a_queue_is_down_where_its_member_on_the_node_is():
    queues = (
        "commands.0\tquorum\t[a@h, a-1@h]\t[a-1@h]\trunning\n"
        "commands.1\tquorum\t[a@h, a-1@h]\t[a@h]\trunning\n"
        "elsewhere\tquorum\t[a-1@h]\t[]\tdown\n"
        "events.log\tstream\t[a@h]\t[]\trunning\nreplies\tclassic\t\t\trunning\nError:\n"
    )
    assert understood("a@h", status(), queues) == NodeReport(("commands.0",), most_run=True, alarm=False)
    assert understood("a-1@h", status("a-1@h"), queues) == NodeReport(
        ("commands.1", "elsewhere"), most_run=False, alarm=False
    )


def test_the_stream_is_lost_if_it_is_down_while_all_nodes_run_and_the_first_tells():
    assert understood("a-1@h", status(), UP + GONE) == LOST
    assert understood("a@h", status(every=("a@h",)), GONE) == LOST
    for node, running, queues in (
        ("a@h", (), UP + GONE),
        ("b@h", (), UP + GONE),
        ("a-1@h", ("a-1@h", "b@h"), UP + GONE),
        ("a-1@h", ("a@h", "a-1@h"), UP + GONE),
        ("a-1@h", (), UP + "events.log\tstream\t[a@h, a-1@h, b@h]\t[a-1@h]\trunning\n"),
        ("a-1@h", (), UP + GONE.replace("events.log", "another")),
        ("a-1@h", (), ""),
    ):
        assert not understood(node, status(*running), queues).lost


@pytest.mark.parametrize("told", ["", "[]", "{}", '{"disk_nodes": 1, "running_nodes": []}', '"x"'])
def test_what_is_not_understood_is_an_error_of_a_known_kind(told):
    with pytest.raises((ValueError, KeyError, TypeError)):
        understood("a@h", told, UP)


def test_a_node_is_ended_after_a_minute_and_then_ever_later():
    rule = RestartRule()
    assert done(rule, BROKEN, 0, 600) == [(60, Remedy.RESTART), (195, Remedy.RESTART), (450, Remedy.RESTART)]
    assert not rule.due(600, WELL)
    assert done(rule, BROKEN, 600, 675) == [(660, Remedy.RESTART)]


def test_a_stream_that_a_new_start_does_not_bring_back_is_removed():
    assert done(RestartRule(), LOST, 0, 900) == [
        (60, Remedy.RESTART),
        (195, Remedy.REMOVE),
        (450, Remedy.RESTART),
    ]
    assert done(RestartRule(started=True), LOST, 0, 120) == [(60, Remedy.REMOVE)]


def test_a_stream_that_comes_back_or_is_down_beside_others_is_not_removed():
    both = NodeReport(("commands.0",), most_run=True, alarm=False, lost=True)
    for words in (
        # Back after the new start, and down at another time: that is a new matter.
        [(LOST, 75), (None, 30), (WELL, 15), (LOST, 75)],
        # For seconds, again and again.
        [(LOST, 45), (WELL, 15)] * 20,
        # Queues of commands are down, too: only a new start can be meant.
        [(both, 1800)],
        [(LOST, 75), (both, 1800)],
        # Nodes are away, or there is no room.
        [(LOST, 75), (NodeReport((), most_run=True, alarm=False), 300)],
        [(LOST, 75), (NodeReport((), most_run=True, alarm=True, lost=True), 300)],
    ):
        rule, now = RestartRule(), 0
        for word, seconds in words:
            assert Remedy.REMOVE not in {remedy for _, remedy in done(rule, word, now, now + seconds)}
            now += seconds


def test_a_node_that_nothing_would_be_won_with_is_left_alone():
    for word in (
        None,
        WELL,
        NodeReport(("q",), most_run=False, alarm=False),
        NodeReport(("q",), True, alarm=True),
        NodeReport((), True, alarm=True, lost=True),
    ):
        rule = RestartRule()
        assert not rule.due(0, BROKEN)
        assert not rule.due(DOWN_SECONDS - 1, word)
        assert not rule.due(DOWN_SECONDS + 1, BROKEN)
