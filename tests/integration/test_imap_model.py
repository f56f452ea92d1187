"""Many sessions in a few mailboxes, with random commands at the same time, against a model written from the RFCs (lib.imap_model): what each
of them is told, and what is there in the end.

A normal run takes half a minute, US_LONG=1 ten. US_MODEL_SEED repeats a run's choices (not how the machine schedules the
processes); a failure names it."""
import os
import random
import subprocess
import time

import pytest

from lib import places
from lib.imap_model import Violation
from lib.imap_players import Play
from lib.store import read_store

LONG = bool(os.environ.get("US_LONG"))
SECONDS = 300 if LONG else 10    # for each of the two
LEAST = 20                       # rounds, however slow the machine is


def seed():
    out = int(os.environ.get("US_MODEL_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"US_MODEL_SEED={out}")
    return out


def prepare(server, mode):
    s = server(services={"lmtpunix": None}, imapd={"expunge_mode": mode, "maxlogins_per_user": None, "maxlogins_per_host": None})
    s.make_user("bob", "eve")
    with s.admin() as c:
        c.ok("CREATE", "user/bob/work")
        c.ok("SETACL", "user/bob/work", "anyone", "p")
        c.ok("CREATE", "shared")
        for user in ("bob", "eve"):
            c.ok("SETACL", "shared", user, "lrswipkxtecdan")
    if mode == "immediate":
        s.expect("imap.message.unreadable")    # whose file another session has just taken away
    return s


def store_do(s, lines):
    done = subprocess.run([places.build() / "tests/progs/store_do", "-C", s.conf], text=True, capture_output=True,
                          input="".join(line + "\n" for line in lines))
    assert done.returncode == 0 and "NO" not in done.stdout, done.stdout + done.stderr


@pytest.mark.limit(4 * SECONDS + 1800)
@pytest.mark.parametrize("mode", ["delayed", "immediate"])
def test_sessions_are_told_what_is_true(server, mode):
    number = seed()
    rng = random.Random(f"{number} {mode}")
    s = prepare(server, mode)
    play = Play(s, rng, {"bob": 9, "eve": 3})
    began = time.monotonic()
    try:
        while play.rounds < LEAST or time.monotonic() < began + SECONDS:
            play.round()
            if rng.random() < .06:
                play.checkpoint()
            if rng.random() < .05:
                play.unlink(lambda lines: store_do(s, lines))
        play.checkpoint()
    except Violation as error:
        raise AssertionError(play.told_of(error, number)) from None
    print(f"{mode}: {play.rounds} rounds, {play.commands} commands, {play.count} messages, {play.checkpoints} checkpoints")
    play.end()
    store = read_store(s.endpoint())
    assert store.faults == []
    assert s.tool("reconstruct", "-q", "-G", "-n").stdout == ""
