"""LIST-EXTENDED and what goes with it: selections, returned figures and rights, special uses."""
from pathlib import Path

MESSAGE = b"From: a@b\r\nSubject: x\r\n\r\nhello\r\n"


def lines(c, command):
    """The untagged lines of one command."""
    return [r.raw.decode().removeprefix("* ") for r in c.ok(command).untagged]


def uses(c, user_pattern="*"):
    """{name: special uses}, as LIST tells them."""
    found = {}
    for r in c.ok("LIST", "(SPECIAL-USE)", '""', f'"{user_pattern}"').all("LIST"):
        attributes, _, name = r.values
        found[str(name)] = {str(a) for a in attributes} - {"\\HasNoChildren", "\\HasChildren"}
    return found


# ---- selections -------------------------------------------------------------------------------------------------

def test_subscriptions_are_selected(make):
    s = make()
    with s.imap("alice") as c:
        for name in ("a", "a/b", "a/b/c", "gone", "plain"):
            c.ok("CREATE", name)
        for name in ("a/b/c", "gone", "plain"):
            c.ok("SUBSCRIBE", name)
        c.ok("DELETE gone")
        subscribed = ['LIST (\\Subscribed \\HasNoChildren) "/" a/b/c',
                      'LIST (\\NonExistent \\Subscribed \\HasNoChildren) "/" gone',
                      'LIST (\\Subscribed \\HasNoChildren) "/" plain']
        assert lines(c, 'LIST (SUBSCRIBED) "" *') == subscribed
        assert lines(c, 'LIST (SUBSCRIBED) "" %') == subscribed[1:]
        # Parents that were not asked for, but have below them what was: those that exist, and with their children.
        assert lines(c, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" %') == \
            ['LIST (\\HasChildren) "/" a (CHILDINFO ("SUBSCRIBED"))', *subscribed[1:]]
        assert lines(c, 'LIST (RECURSIVEMATCH SUBSCRIBED) "" a/%') == \
            ['LIST (\\HasChildren) "/" a/b (CHILDINFO ("SUBSCRIBED"))']
        # Whether the child fits, too, is no matter; a parent that was not asked for is not told where its child is.
        c.ok("SUBSCRIBE a/b")
        both = 'LIST (\\Subscribed \\HasChildren) "/" a/b (CHILDINFO ("SUBSCRIBED"))'
        assert lines(c, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" *') == [both, *subscribed]
        assert lines(c, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" a/%') == [both]
        assert "CHILDINFO" not in "".join(lines(c, 'LIST (SUBSCRIBED) "" *'))
        c.ok("UNSUBSCRIBE a/b")
        # A return option changes nothing of what is selected.
        assert [line for line in lines(c, 'LIST "" * RETURN (SUBSCRIBED)') if "\\Subscribed" in line] == \
            [subscribed[0], subscribed[2]]
        # An INBOX has for children what is shown below it.
        c.ok("CREATE INBOX/x")
        c.ok("SUBSCRIBE INBOX")
        assert lines(c, 'LIST (SUBSCRIBED) "" INBOX') == ['LIST (\\Subscribed \\HasChildren) "/" INBOX']
        c.ok("DELETE INBOX/x")
        assert lines(c, 'LIST (SUBSCRIBED) "" inbox') == ['LIST (\\Subscribed \\HasNoChildren) "/" INBOX']


def test_what_one_may_not_know_of_does_not_exist(make):
    s = make()
    with s.imap("alice") as c:
        for name in ("a", "a/b", "h"):
            c.ok("CREATE", name)
            c.ok("SETACL", name, "bob", "lr")
    with s.imap("bob") as c:
        for name in ("a", "h"):
            c.ok("SUBSCRIBE", f'"Other Users/alice/{name}"')
    with s.imap("alice") as c:
        c.ok("SETACL a/b bob", '""')
        c.ok("SETACL h bob", '""')
    with s.imap("bob") as c:
        assert lines(c, 'LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES) MYRIGHTS)') == [
            'LIST (\\Subscribed \\HasNoChildren) "/" "Other Users/alice/a"',
            'STATUS "Other Users/alice/a" (MESSAGES 0)', 'MYRIGHTS "Other Users/alice/a" lr',
            'LIST (\\NonExistent \\Subscribed \\HasNoChildren) "/" "Other Users/alice/h"']


def test_patterns_and_what_is_returned(make):
    s = make(list_patterns_max=3)
    with s.imap("alice") as c:
        for name in ("a", "a/b", "b"):
            c.ok("CREATE", name)
        c.append("a", MESSAGE)
        c.append("a", MESSAGE + b"more\r\n")
        size = 2 * len(MESSAGE) + 6
        assert lines(c, 'LIST "" (a b a/%) RETURN (STATUS (MESSAGES SIZE UIDNEXT) MYRIGHTS)') == [
            'LIST (\\HasChildren) "/" a', f"STATUS a (MESSAGES 2 UIDNEXT 3 SIZE {size})", "MYRIGHTS a lrswipkxtecdan",
            'LIST (\\HasNoChildren) "/" a/b', "STATUS a/b (MESSAGES 0 UIDNEXT 1 SIZE 0)", "MYRIGHTS a/b lrswipkxtecdan",
            'LIST (\\HasNoChildren) "/" b', "STATUS b (MESSAGES 0 UIDNEXT 1 SIZE 0)", "MYRIGHTS b lrswipkxtecdan"]
        assert lines(c, "STATUS a (SIZE)") == [f"STATUS a (SIZE {size})"]
        c.select("a")
        c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
        assert lines(c, "STATUS a (SIZE)") == [f"STATUS a (SIZE {len(MESSAGE) + 6})"]
        c.ok('LIST "" (a b c)')
        assert c.command('LIST "" (a b c d)').code == ["LIMIT"]
    with s.admin() as c:    # he may look it up, but not read it
        assert lines(c, 'LIST "" user/alice RETURN (STATUS (MESSAGES) MYRIGHTS)') == \
            ['LIST (\\HasChildren) "/" user/alice', "MYRIGHTS user/alice la"]


def test_a_damaged_mailbox_costs_its_own_figures_only(make):
    s = make()
    with s.imap("alice") as c:
        for name in "abcd":
            c.ok("CREATE", name)
        (Path(s.tool("mbpath", "user/alice/b").stdout.rstrip("\n")) / "mbox.idx").write_bytes(b"\0" * 4096)
        s.expect("index")
        told = lines(c, 'LIST "" "*" RETURN (STATUS (MESSAGES) MYRIGHTS)')
        assert [line.split()[-1] for line in told if line.startswith("LIST")] == ["INBOX", *"abcd"]
        assert [line.split()[1] for line in told if line.startswith("STATUS")] == ["INBOX", *"acd"]
        assert sum(line.startswith("MYRIGHTS") for line in told) == 5
        assert c.command("STATUS b (MESSAGES)").code == ["CORRUPTION"]
    assert s.log_file.read_text().count("imap.status.failed") == 1


# ---- special uses -----------------------------------------------------------------------------------------------

def test_special_uses(make):
    s = make()
    with s.imap("alice") as c:
        c.ok("CREATE Sent (USE (\\sent))")
        c.ok("CREATE two (USE (\\Drafts \\Junk \\drafts))")
        c.ok("CREATE plain (USE ())")
        wanted = {"Sent": {"\\Sent"}, "two": {"\\Drafts", "\\Junk"}}
        assert uses(c) == wanted
        for bad in ("x (USE (\\Sent))", "x (USE (\\Archive \\junk))", "x (USE (\\Flagged))", "plain/x (USE (\\Trash))"):
            assert c.command("CREATE", bad).code == ["USEATTR"]
        assert lines(c, 'LIST "" x*') == []
        # It goes where the mailbox goes, and with it.
        c.ok("RENAME Sent Gesendet")
        assert uses(c) == {"Gesendet": {"\\Sent"}, "two": wanted["two"]}
        assert c.command("DELETE Gesendet").code == ["USEATTR"]
        assert lines(c, 'LIST "" two') == ['LIST (\\HasNoChildren \\Drafts \\Junk) "/" two']
        for name in ("Gesendet", "INBOX"):
            c.ok("SETACL", name, "bob", "lrs")
    with s.imap("bob") as c:    # it is nobody else's business
        assert uses(c) == {} and len(lines(c, 'LIST "" "Other Users/*"')) == 2
        c.ok("CREATE Sent (USE (\\Sent))")
        assert c.command('CREATE "Other Users/alice/x" (USE (\\Archive))').code == ["NOPERM"]
    with s.admin() as c:
        c.ok("CREATE user/bob/Trash (USE (\\Trash))")
        assert c.command("CREATE user/bob/Trash2 (USE (\\Trash))").code == ["USEATTR"]
        assert c.command("CREATE shared (USE (\\Trash))").code == ["USEATTR"]
    s.restart()
    with s.imap("bob") as c:
        assert uses(c) == {"Sent": {"\\Sent"}, "Trash": {"\\Trash"}}


def test_the_operator_says_what_uses_there_are(make):
    s = make(specialuse_extra="\\Reports \\Ham", allowspecialusesubfolder=True, specialusealways=False)
    with s.imap("alice") as c:
        c.ok("CREATE a")
        c.ok("CREATE a/b (USE (\\reports))")
        assert c.command("CREATE x (USE (\\Reports))").code == ["USEATTR"]
        assert lines(c, 'LIST "" a/b') == ['LIST (\\HasNoChildren) "/" a/b']
        for with_uses in ('LIST "" a/b RETURN (SPECIAL-USE)', 'LIST (SPECIAL-USE) "" *'):
            assert lines(c, with_uses) == ['LIST (\\HasNoChildren \\Reports) "/" a/b']
