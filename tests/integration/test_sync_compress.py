"""What goes over the wire between two of ours, and when: zstd, deflate, nothing; how much a change costs; and a link that ends in the
middle of a block."""
import pytest

from lib.places import wait_until
from lib.site import bob, differences
from lib.tap import Tap


def through(a, tap, **options):
    a.options.update({"sync_port": tap.port, **options})
    a.write_conf()


@pytest.fixture
def pair(sites):
    """make(...): a, b and the tap between them."""
    def make(replica=None, without=b"", **options):
        b = sites("b", imapd=replica)
        a = sites("a", to=b)
        tap = Tap(b, without)
        through(a, tap, **options)
        bob(a)
        return a, b, tap
    return make


# ---- which -----------------------------------------------------------------------------------------------

CHOICES = {
    "two of ours": ({}, (), {}, ["ZSTD"]),
    "switched off here": ({"sync_compress": False}, (), {}, []),
    "switched off there": ({}, (), {"replica": {"sync_compress": False}}, []),
    "switched off here, and asked for by hand": ({"sync_compress": False}, ("-z",), {}, ["ZSTD"]),
    "one that does not know it, on this machine": ({}, (), {"without": b" ZSTD"}, []),
    "one that does not know it, asked for by hand": ({}, ("-z",), {"without": b" ZSTD"}, ["DEFLATE"]),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_what_is_chosen(pair, choice):
    options, words, more, wanted = CHOICES[choice]
    a, b, tap = pair(**more, **options)
    a.sync("-u", *words, "bob")
    assert differences(a, b, ["bob"]) == []
    assert tap.compressions() == wanted


def test_one_that_offers_none_is_refused_by_hand(pair):
    a, _, tap = pair(replica={"sync_compress": False})
    done = a.sync("-u", "-z", "bob", check=False)
    assert done.returncode == 1 and "does not offer compression" in done.stderr
    assert tap.compressions() == []


def test_a_channel_has_its_own_switch(sites):
    b, c = sites("b"), sites("c")
    a = sites("a", to={"near": b, "far": c}, imapd={"near_sync_compress": False})
    bob(a)
    for channel, replica, wanted in (("near", b, []), ("far", c, ["ZSTD"])):
        tap = Tap(replica)
        through(a, tap, **{channel + "_sync_port": tap.port})
        a.sync("-u", "bob", channel=channel)
        assert tap.compressions() == wanted
        assert differences(a, replica, ["bob"]) == []


# ---- how much --------------------------------------------------------------------------------------------

def test_bodies_of_all_lengths_arrive(pair):
    a, b, tap = pair()
    for size in (20, 100, 8191, 8192, 8193, 131072, 131073, 400000):
        a.append("user.bob", ("Subject: x\r\n\r\n" + "some words or other, " * (size // 20))[:size])
    a.sync("-u", "bob")
    assert differences(a, b, ["bob"]) == []
    # what is long went as it is: on one machine nothing is faster
    assert 0 < len(tap.said) - (8192 + 8193 + 131072 + 131073 + 400000) < 3000


@pytest.mark.parametrize("compressed, low, most", [(True, 1, 200), (False, 500, 1000)])
def test_what_a_flag_costs_on_a_link_that_is_warm(pair, compressed, low, most):
    a, b, tap = pair(sync_compress=compressed)
    for n in range(12):
        a.append("user.bob", f"Subject: {n}\r\n\r\n")
    costs = []
    with a.rolling():
        for uid in range(1, 9):
            before = tap.octets()
            a.do(f"flags user.bob {uid} \\Answered")
            wait_until(lambda: differences(a, b, ["bob"]) == [], 20, "the flag is there")
            a.wait_synced()
            costs.append(tap.octets() - before)
    assert all(low < cost < most for cost in costs[2:]), costs


# ---- what breaks -----------------------------------------------------------------------------------------

def test_a_link_that_ends_inside_a_block_is_made_anew(pair):
    a, b, tap = pair()
    with a.rolling():
        for n in range(6):
            a.append("user.bob", f"Subject: {n}\r\n\r\n" + f"{n} and some words, " * 40)
            tap.cut_after = len(tap.said) + 60 + 130 * n
            a.append("user.bob.Sent", f"Subject: {n}\r\n\r\n" + f"{n} and other words, " * 40)
            wait_until(lambda: differences(a, b, ["bob"]) == [], 20, "it goes on behind the cut")
    assert len(tap.compressions()) > 1
