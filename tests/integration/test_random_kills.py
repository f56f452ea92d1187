"""A primary with a rolling sync_client and its replica; clients work on it by LMTP and IMAP, while processes of both sides, chosen at
random, are killed: imapd, lmtpd, metad, sync_client, sync_server, and now and then a master, which is started again. Whatever was
acknowledged is on both sides, and the replica becomes equal by itself (lib.kills).

test_crash_walk.py dies at each point in turn; here several die at once, in the middle of much work, and what comes afterwards is
hit again. A normal run takes half a minute, US_LONG=1 ten, or until 300 processes are killed and 20000 things are
acknowledged. US_KILLS_SEED repeats what the clients choose and who is killed, not how the machine schedules them."""
import os
import random
import time

import pytest

from lib.at_work import ledger_of
from lib.kills import Pair

LONG = bool(os.environ.get("US_LONG"))
SECONDS, ROUND, EVERY = (600, 60, 1.0) if LONG else (12, 12, 0.7)
KILLS, ACKNOWLEDGED = (300, 20000) if LONG else (5, 100)


@pytest.mark.limit(10 * SECONDS + 3000)    # a busy machine needs several times as long for looking as for the work
def test_nothing_acknowledged_is_lost(roots, request):
    seed = int(os.environ.get("US_KILLS_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"US_KILLS_SEED={seed}")
    pair = Pair(roots, seed, EVERY)
    request.node.mail_servers = [pair.a, pair.b]
    worked = 0
    while worked < SECONDS or pair.kills.total() < KILLS or pair.acknowledged < ACKNOWLEDGED:
        began = time.monotonic()
        faults = pair.round(ROUND)
        worked += ROUND
        print(f"{time.monotonic() - began:.0f} s: {pair}")
        assert not faults, f"seed {seed}, round {pair.rounds}:\n" + "\n".join(faults[:30])
    lie = ledger_of(pair.store)    # what is lost is found
    lie.message("user.u0", message_id="<never sent>")
    assert [line.partition(": ")[0] for line in pair.judge(lie)] == ["a", "b"]
    pair.finish()
