"""doc/OPERATIONS.md, "Changing roles by hand", step by step with whole servers: a planned change of roles, and a failover after
the primary fell over with mail that had not gone across. Nothing acknowledged is lost, and both end equal by themselves."""
import pytest

from lib import messages
from lib.checker import check, read_store
from lib.ledger import Ledger
from lib.places import wait_until

LIMIT = pytest.mark.limit(180)
CLIENT = {"sync": {"cmd": "sync_client -R -C {conf}"}}


@pytest.fixture
def two(server):
    """a and b, each knowing the other; nobody replicates yet."""
    a, b = server(name="a"), server(name="b")
    for one, other in ((a, b), (b, a)):
        one.replicate_to(other, sync_log=False)
        one.add_users("bob")
    return a, b


def take_role(one, primary):
    """Its part of the configuration, and a start with it."""
    one.options["sync_log"] = primary
    one.sections["DAEMON"] = CLIENT if primary else {}
    one.write_conf()
    one.restart()


def deliver(one, ledger, number):
    message_id = f"<{number}@failover.test>"
    with one.lmtp() as lmtp:
        lmtp.lhlo()
        replies = lmtp.deliver("x@failover.test", ["bob"], messages.plain(number, message_id=message_id))
    assert all(reply.ok for reply in replies.values())
    ledger.message("user.bob", message_id=message_id, once=True)


def primary_with_mail(one, count):
    """The ledger of what it acknowledged."""
    ledger = Ledger()
    take_role(one, primary=True)
    one.make_user("bob")
    for number in range(count):
        deliver(one, ledger, number)
    return ledger


def wait_equal(a, b):
    wait_until(lambda: check(a.endpoint(), b.endpoint()) == [], 60,
               lambda: f"both are equal: {check(a.endpoint(), b.endpoint())[:5]}")


def nothing_is_lost(ledger, *servers):
    for one in servers:
        assert ledger.check(read_store(one.endpoint())) == []


@LIMIT
def test_roles_change_by_plan(two):
    a, b = two
    ledger = primary_with_mail(a, 10)
    a.services.update(dict.fromkeys(("imap", "imaps", "lmtp", "lmtpunix")))    # no more changes; the client goes on
    a.write_conf()
    a.restart()
    a.sync_client("-A")    # succeeds, so all of it is across
    take_role(b, primary=True)
    a.services = a.default_services()
    take_role(a, primary=False)
    for number in range(10, 20):
        deliver(b, ledger, number)
    wait_equal(b, a)
    nothing_is_lost(ledger, a, b)


@LIMIT
def test_failover_with_mail_that_had_not_gone_across(two):
    a, b = two
    ledger = primary_with_mail(a, 5)
    wait_equal(a, b)
    b.stop()    # the line is cut: what comes now is acknowledged, and on a alone
    for number in range(5, 8):
        deliver(a, ledger, number)
    a.kill()
    b.start()
    take_role(b, primary=True)
    for number in range(10, 14):
        deliver(b, ledger, number)
    a.options["sync_log"], a.sections["DAEMON"] = False, {}    # before it is ever started again
    a.write_conf()
    a.start()
    wait_equal(b, a)
    nothing_is_lost(ledger, a, b)
