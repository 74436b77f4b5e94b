"""When a broker's node is ended because its queues are down although it could serve."""

from local.broken_members import DOWN_SECONDS, NodeWord, RestartRule, members_down

BROKEN = NodeWord(("commands.0",), most_run=True, alarm=False)
WELL = NodeWord((), most_run=True, alarm=False)


def test_a_queue_is_down_where_its_member_on_the_node_is():
    queues = (
        "commands.0\tquorum\t[a@h, a-1@h]\t[a-1@h]\ncommands.1\tquorum\t[a@h, a-1@h]\t[a@h]\n"
        "elsewhere\tquorum\t[a-1@h]\t[]\nevents.log\tstream\t[a@h]\t[]\nreplies\tclassic\t\t\nError:\n"
    )
    assert members_down("a@h", queues) == ("commands.0",)
    assert members_down("a-1@h", queues) == ("commands.1", "elsewhere")


def test_a_node_is_ended_after_a_minute_and_then_ever_later():
    rule, now, ended = RestartRule(), 0.0, []
    while now < 600:
        if rule.due(now, BROKEN):
            ended.append(now)
        now += 15
    assert ended == [60, 195, 450]
    assert not rule.due(now, WELL)
    assert [rule.due(now + later, BROKEN) for later in (0, 45, 60)] == [False, False, True]


def test_a_node_that_nothing_would_be_won_with_is_left_alone():
    for word in (
        None,
        WELL,
        NodeWord(("q",), most_run=False, alarm=False),
        NodeWord(("q",), True, alarm=True),
    ):
        rule = RestartRule()
        assert not rule.due(0, BROKEN)
        assert not rule.due(DOWN_SECONDS - 1, word)
        assert not rule.due(DOWN_SECONDS + 1, BROKEN)
