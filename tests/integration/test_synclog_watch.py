"""scripts/synclog-watch: what passes through the logs, told as it passes."""
import os
import re
import signal
import subprocess
import time
from contextlib import contextmanager

from lib import places
from lib.places import wait_until
from lib.site import Site

LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (\S+) +([+>=!]) (.*)")


@contextmanager
def watched(site):
    """told(channel, mark, pattern) waits until such a line was printed."""
    out = site.root / "watch.out"
    with open(out, "wb") as file:
        watch = subprocess.Popen([places.TOP / "scripts/synclog-watch", "-C", str(site.imapd_conf)], stdout=file,
                                 stderr=subprocess.STDOUT, start_new_session=True)

    def told(channel, mark, text):
        def look():
            lines = [LINE.fullmatch(line) for line in out.read_text().splitlines()]
            assert all(lines), out.read_text()
            return any(m[1] == channel and m[2] == mark and re.search(text, m[3]) for m in lines)
        wait_until(look, 20, lambda: f"{channel} {mark} {text} in\n{out.read_text()}")
    try:
        yield told
    finally:
        os.killpg(watch.pid, signal.SIGTERM)    # a group of its own: inotifywait too
        watch.wait(5)


def test_lines_are_told_as_they_pass(roots):
    with Site(roots(), "b") as b, Site(roots(), "a", to={"": b, "west": b}) as a:
        b.start()
        a.start()
        a.do("create user.bob")    # before anybody looks
        with watched(a) as told:
            told("-", "+", r"^MAILBOX user\.bob$")
            told("west", "+", r"^MAILBOX user\.bob$")
            with a.rolling():
                told("-", ">", r"^\d+ lines?, \d+ ms$")
                told("-", "=", r"^\d+ lines?, \d+ ms$")
                for n in range(10):    # one or the other may be through before it is looked at
                    a.append("user.bob", f"{n}\r\n")
                    time.sleep(0.1)
                told("-", "+", r"^APPEND user\.bob$")
                told("-", "=", r"^2 lines, \d{1,4} ms$")
            b.do("create user.ann")
            b.append("user.ann", "hers\r\n")
            a.do("create user.ann")
            with a.rolling(channel="west"):
                told("west", "!", r"^USER ann: .*mailbox")
