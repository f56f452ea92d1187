"""Clients that cost little, since they run on the machine they measure: no reply is taken apart further than to see that it is
well. Sessions are begun by the clients of tests/lib, and go on by their sockets."""
import itertools
import multiprocessing
import os
import statistics
import time

from lib import mail_corpus

_number = itertools.count()


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


def more(socket):
    """What came next; a server that says nothing for the socket's time is a TimeoutError."""
    data = socket.recv(1 << 20)
    if not data:
        raise EOFError("the server closed the connection")
    return data


class Mail:
    """Messages, none of which has a Message-ID twice: a server may suppress duplicates."""

    def __init__(self, count, most=1 << 20):
        self.bodies = [mail_corpus.message(i, most).split(b"\r\n", 1)[1] for i in range(count)]

    def next(self):
        n = next(_number)
        return b"Message-ID: <%d.%d.%d@bench.test>\r\n" % (os.getpid(), time.time_ns(), n) + self.bodies[n % len(self.bodies)]


class Delivery:
    """An LMTP session that delivers to always the same recipients."""

    def __init__(self, server, recipients):
        self.socket = server.lmtp().wire.socket
        self.count = len(recipients)
        self.envelope = b"MAIL FROM:<s@example.net>\r\n" + b"".join(
            b"RCPT TO:<%s>\r\n" % r.encode() for r in recipients) + b"DATA\r\n"

    def replies(self, count):
        """Wait for so many replies, all of them good."""
        data = b""
        while True:
            lines = data.split(b"\r\n")
            ends = [line for line in lines[:-1] if line[3:4] != b"-"]
            bad = [line for line in ends if line[:1] not in b"23"]
            if bad:
                raise RuntimeError(f"the server said {bad[0]!r}")
            if len(ends) >= count:
                return
            data += more(self.socket)

    def send(self, message):
        """Deliver; returns the time of the last reply."""
        self.socket.sendall(self.envelope)
        self.replies(self.count + 2)
        self.socket.sendall(message.replace(b"\n.", b"\n..") + b".\r\n")
        self.replies(self.count)
        return time.perf_counter()


class Session:
    """An IMAP session whose replies are only drained."""

    def __init__(self, server, user):
        self.client = server.imap(user)
        self.socket = self.client.wire.socket
        self.number = 0
        self.left = b""

    def start(self, command):
        self.number += 1
        tag = b"b%d" % self.number
        self.socket.sendall(tag + b" " + command + b"\r\n")
        return tag

    def finish(self, tag):
        """The end of the reply, at most 64 bytes before its tagged line; what came is counted by the caller's clock."""
        wanted, data = b"\n" + tag + b" ", b"\n" + self.left
        while True:
            at = data.find(wanted)
            end = data.find(b"\n", at + 1) if at >= 0 else -1
            if end >= 0:
                line, self.left = data[at + 1:end], data[end + 1:]
                if line.split(b" ", 2)[1] != b"OK":
                    raise RuntimeError(f"the server said {line!r}")
                return data[:at + 1]
            data = (data[at:] if at >= 0 else data[-4096:]) + more(self.socket)

    def ok(self, command):
        return self.finish(self.start(command))

    def seconds(self, command):
        began = time.perf_counter()
        self.ok(command)
        return time.perf_counter() - began

    def exists(self, box):
        """SELECT it; the number of messages."""
        words = self.ok(b"SELECT " + box).split()
        return int(words[words.index(b"EXISTS") - 1])

    def messages(self, box):
        """By STATUS, without selecting it."""
        reply = self.ok(b"STATUS %s (MESSAGES)" % box)
        return int(reply.rpartition(b"MESSAGES ")[2].split(b")")[0])

    def append_all(self, box, mail, count, outstanding=8):
        waiting = []
        for _ in range(count):
            m = mail.next()
            waiting.append(self.start(b"APPEND %s (\\Seen) {%d+}\r\n" % (box, len(m)) + m))
            if len(waiting) >= outstanding:
                self.finish(waiting.pop(0))
        for tag in waiting:
            self.finish(tag)

    def close(self):
        self.socket.close()


def fill(machine, user, box, mail, count, by_copy_from=None):
    """Make a mailbox of so many messages, once a machine; beyond by_copy_from by doubling it."""
    if machine.filled.get((user, box)) == count:
        return
    s = Session(machine.primary, user)
    s.ok(b"CREATE " + box)
    have = min(count, by_copy_from or count)
    s.append_all(box, mail, have)
    while have < count:
        s.exists(box)
        step = min(have, count - have)
        s.ok(b"COPY 1:%d %s" % (step, box))
        have += step
    s.close()
    machine.filled[(user, box)] = count


def together(count, work, *args):
    """Run work(k, ready, *args) in processes of their own; each calls ready() before it begins. What they return."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(count), context.SimpleQueue()

    def child(k):
        try:
            results.put((k, work(k, barrier.wait, *args)))
        except BaseException as error:
            barrier.abort()
            results.put((k, RuntimeError(repr(error))))
    processes = [context.Process(target=child, args=(k,)) for k in range(count)]
    for p in processes:
        p.start()
    got = [results.get() for _ in processes]
    for p in processes:
        p.join()
    for _, result in got:
        if isinstance(result, Exception):
            raise result
    return [result for _, result in got]


median = statistics.median
