"""Sessions that do what comes to their minds in a few mailboxes, all at once, and are held to the model (lib.imap_model, lib.imap_view).

    play = Play(server, random.Random(seed), user={"bob": 9, "eve": 3})
    play.round()         # many of them send commands, and only then their answers are read
    play.checkpoint()    # nobody works: all of them, and new sessions, see the same, and it is what was ordered

Who plays is one of three kinds: he knows nothing of modseqs, he has enabled CONDSTORE, or QRESYNC. Deliveries come by LMTP; a look at the
mailbox right after says which UIDs they got, since nobody can have removed a message in the round in which it came: what is made
\\Deleted or moved is named by numbers and UIDs that the session knows."""
import collections
import hashlib
import re

from lib.imap import Imap, Literal, quote
from lib.imap_model import Box, Change, Violation, plain
from lib.imap_values import pairs
from lib.imap_view import Command, Members, View, appended
from lib.lmtp import stuffed

SILENCE = 600    # seconds that a server may need for one answer: the machine may be busy
FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "$Work", "later", "LATER", "k1"]
MOST, FEW = 40, 12    # messages of a mailbox: more are removed, fewer are added to
ALL = "1:*"


class Place:
    """A mailbox: as it is named, and what is known of it."""

    def __init__(self, name, internal, box, address=None):
        self.name, self.internal, self.box, self.address = name, internal, box, address
        self.unlinked = set()
        self.openings = collections.Counter()    # {user: how often somebody came or went}
        self.steady = {}                         # ... at the last checkpoint
        self.seen = {}                           # {user: {uid}}, what was there then


class Session:
    def __init__(self, play, name, user, kind):
        self.play, self.random, self.name, self.user, self.kind = play, play.random, name, user, kind
        self.saved = {}    # {Place: Saved}
        self.connect()

    def connect(self):
        self.place = self.view = None
        self.client = Imap(("127.0.0.1", self.play.server.imap_port), timeout=SILENCE)
        self.client.wire.history = collections.deque(maxlen=50)
        self.client.login(self.user, "pw")
        if self.kind != "plain":
            self.client.ok("ENABLE", self.kind.upper())

    def places(self):
        return [p for p in self.play.places if self.user == "bob" or p.internal == "shared"]

    # ---- one command: (tag, what to do with its answer) ---------------------------------------------

    def send(self, parts, command, then):
        command.user, command.condstore, command.qresync = self.user, self.kind == "condstore", self.kind == "qresync"
        command.tag = self.client.start(*parts)
        return command.tag, lambda reply: then(command, reply)

    def take(self, command, reply):
        self.view.take(command, reply)

    def leave(self):
        """The mailbox is no longer selected."""
        if self.view:
            self.place.openings[self.user] += 1
            saved = self.view.saved()
            if self.kind == "qresync" and saved:
                self.saved[self.place] = saved
        self.place = self.view = None

    # ---- a mailbox is opened and left ----------------------------------------------------------------

    def select(self):
        place, name = self.random.choice(self.places()), self.random.choice(["SELECT", "SELECT", "SELECT", "EXAMINE"])
        command = Command(name)
        parts = [name, quote(place.name)]
        saved = self.saved.get(place)
        if saved and self.random.random() < .7:
            command.resync = saved
            parts.append(self.resync_words(command, saved))

        def then(command, reply):
            self.leave()
            if reply.status != "OK":
                raise Violation(f"{place.name}: {name} -> {reply.status} {reply.text}", self.name)
            self.view, self.place = View.opened(place.box, self.name, command, reply), place
            place.openings[self.user] += 1
        return [self.send(parts, command, then), self.fetch_all()]

    def resync_words(self, command, saved):
        words = f"{saved.uidvalidity} {saved.modseq}"
        if saved.flags and self.random.random() < .5:
            command.known = self.random.choice([f"1:{saved.last_uid}", ",".join(map(str, sorted(saved.flags)))])
            words += " " + command.known
            if self.random.random() < .5:
                uids = sorted(saved.flags)
                numbers = sorted(self.random.sample(range(1, len(uids) + 1), min(len(uids), 4)))
                words += f" ({','.join(map(str, numbers))} {','.join(str(uids[n - 1]) for n in numbers)})"
        return f"(QRESYNC ({words}))"

    def fetch_all(self):
        """Right behind a SELECT: all UIDs and flags."""
        command = Command("FETCH", members=Members(ALL))

        def then(command, reply):
            if reply.status == "NO" and not self.view.entries:    # no messages
                reply.status = "OK"
            self.take(command, reply)
        return self.send(["FETCH", ALL, self.flag_items()], command, then)

    def flag_items(self):
        return "(UID FLAGS RFC822.SIZE)" if self.kind == "plain" else "(UID FLAGS MODSEQ RFC822.SIZE)"

    def close(self):
        def then(_, reply):
            if reply.status != "OK" or reply.untagged:
                raise Violation(f"{self.place.name}: CLOSE -> {reply}", self.name)
            if not self.view.read_only:
                self.view.expunged()
            self.leave()
        return [self.send(["CLOSE"], Command("CLOSE"), then)]

    def unselect(self):
        return [self.send(["UNSELECT"], Command("UNSELECT"), lambda *_: self.leave())]

    def reconnect(self):
        self.leave()
        if self.random.random() < .5:
            self.client.logout()
        self.client.close()
        self.connect()
        return []

    # ---- which messages ------------------------------------------------------------------------------

    def some(self, by_uid, most=4):
        """A few that the session knows; ranges hold no others."""
        known = [e.uid if by_uid else n for n, e in enumerate(self.view.entries, 1) if e.uid]
        if not known:
            return None
        if self.random.random() < .3:
            numbers = [n for n, e in enumerate(self.view.entries, 1) if e.uid]
            first = last = self.random.randrange(len(known))
            wanted = first + self.random.randrange(most)
            while last < min(wanted, len(known) - 1) and numbers[last + 1] == numbers[last] + 1:
                last += 1
            return f"{known[first]}:{known[last]}"
        return ",".join(map(str, self.random.sample(known, min(len(known), self.random.randint(1, most)))))

    def any_flags(self):
        return self.random.sample(FLAGS, self.random.randint(1, 3))

    def since(self):
        """A modseq that may be the latest of some, and not of others."""
        known = [e.modseq for e in self.view.entries if e.modseq]
        return self.random.choice([self.view.modseq, self.view.best, *known[-4:]])

    def words(self, name, by_uid):
        return ("UID " if by_uid else "") + name

    def coin(self):
        return self.random.random() < .5

    # ---- commands of the selected mailbox ------------------------------------------------------------

    def store(self, by_uid=None):
        by_uid = self.coin() if by_uid is None else by_uid
        which = self.some(by_uid)
        if not which:
            return self.news()
        how, flags, silent = self.random.choice(["+", "+", "-", "-", ""]), self.any_flags(), self.random.random() < .4
        since = self.since() if self.kind != "plain" and self.random.random() < .3 else None
        change = Change(how, plain(flags), self.name, since, self.place.box.round)
        parts = [self.words("STORE", by_uid), which, *([f"(UNCHANGEDSINCE {since})"] if since is not None else []),
                 f"{how}FLAGS{'.SILENT' if silent else ''}", f"({' '.join(flags)})"]
        return [self.send(parts, Command("STORE", by_uid, Members(which), change, silent), self.take)]

    def fetch(self, by_uid=None):
        by_uid = self.coin() if by_uid is None else by_uid
        which = ALL if self.coin() else self.some(by_uid)
        if not which or not self.view.entries:
            return self.news()
        command = Command("FETCH", by_uid, Members(which))
        items, more = self.flag_items(), []
        what = self.random.random()
        if what < .2:
            items = "(UID BODY.PEEK[])"
        elif what < .3:
            items, command.change = "(UID BODY[])", Change("+", frozenset({"\\seen"}), self.name, None, self.place.box.round)
            if which == ALL:
                which = self.some(by_uid) or "1"
                command.members = Members(which)
        elif what < .5 and self.kind != "plain":
            command.since = self.since()
            command.earlier = self.kind == "qresync" and by_uid and self.coin()
            more = [f"(CHANGEDSINCE {command.since}{' VANISHED' if command.earlier else ''})"]
        return [self.send([self.words("FETCH", by_uid), which, items, *more], command, self.take)]

    def search(self, by_uid=None):
        by_uid = self.coin() if by_uid is None else by_uid
        text, wants = self.criteria(2)
        returns = self.random.choice([None, None, ("ALL",), ("ALL", "COUNT"), ("MIN", "MAX", "COUNT", "ALL"), ("MIN",), ("MAX",),
                                      ("COUNT",)])
        command = Command("SEARCH", by_uid, wants=wants, returns=returns)
        more = [f"RETURN ({' '.join(returns)})"] if returns else []
        return [self.send([self.words("SEARCH", by_uid), *more, text], command, self.take)]

    def criteria(self, depth):
        """(text, wants(number, entry)): True, False, or None where it depends on what the session was not told."""
        one = self.random.choice(["ALL", "flag", "flag", "flag", "uid", "number", "recent", "modseq"] + ["not", "or", "and"] * bool(depth))
        if one in ("not", "or", "and"):
            (a, in_a), (b, in_b) = self.criteria(depth - 1), self.criteria(depth - 1)
            if one == "not":
                return f"NOT {a if a[0] == '(' else f'({a})'}", lambda n, e: negated(in_a(n, e))
            if one == "or":
                return f"OR ({a}) ({b})", lambda n, e: negated(both(negated(in_a(n, e)), negated(in_b(n, e))))
            return f"({a} {b})", lambda n, e: both(in_a(n, e), in_b(n, e))
        if one == "flag":
            flag, has = self.random.choice(FLAGS), self.coin()
            word = f"{'' if has else 'UN'}{flag[1:].upper()}" if flag[0] == "\\" else f"{'' if has else 'UN'}KEYWORD {flag}"
            return word, lambda n, e: None if e.flags is None else (flag.lower() in e.flags) is has
        if one in ("uid", "number") and self.some(one == "uid"):
            which = self.some(one == "uid", 20)
            members = Members(which)
            if one == "uid":
                return f"UID {which}", lambda n, e: None if e.uid is None else members.holds(e.uid, 0)
            return which, lambda n, e: members.holds(n, 0)
        if one == "recent":
            has = self.coin()
            return "RECENT" if has else "OLD", lambda n, e: None if e.recent is None else e.recent is has
        if one == "modseq" and self.kind != "plain":
            since = self.since()
            return f"MODSEQ {since}", lambda n, e: None if e.modseq is None else e.modseq >= since
        return "ALL", lambda n, e: True

    def news(self):
        name = self.random.choice(["NOOP", "NOOP", "CHECK"])
        return [self.send([name], Command(name), self.take)]

    def idle(self):
        tag = self.client.start("IDLE")
        refused = self.client.continuation(tag)
        if refused:
            raise Violation(f"IDLE -> {refused}", self.name)
        self.idles = True
        return [(tag, lambda reply: self.take(Command("IDLE"), reply))]

    def expunge(self):
        return [self.send(["EXPUNGE"], Command("EXPUNGE"), self.take)]

    def uid_expunge(self):
        which = self.some(True, 20)
        return [self.send(["UID EXPUNGE", which], Command("EXPUNGE", True, Members(which)), self.take)] if which else self.news()

    def copy(self, name="COPY"):
        by_uid, to = self.coin(), self.random.choice(self.places())
        which = self.some(by_uid)
        if not which or name == "COPY" and len(to.box.messages) > MOST or to is self.place and name == "MOVE":
            return self.news()
        command = Command(name, by_uid, Members(which), to=to.box)
        return [self.send([self.words(name, by_uid), which, quote(to.name)], command, self.take)]

    def move(self):
        return self.copy("MOVE")

    # ---- commands of any mailbox ---------------------------------------------------------------------

    def append(self):
        to, plus = self.random.choice(self.places()), self.random.random() < .8
        command, parts = Command("APPEND", to=to.box, messages=[]), ["APPEND", quote(to.name)]
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            flags, data = self.any_flags() if self.coin() else [], self.play.text()
            command.messages.append((flags, data))
            parts += [*([f"({' '.join(flags)})"] if flags else []), Literal(data, plus)]

        def then(command, reply):
            if self.view:
                self.take(command, reply)
            else:
                appended(self.name, command, reply)
        return [self.send(parts, command, then)]

    def status(self):
        place = self.random.choice(self.places())
        items = "MESSAGES UIDNEXT UIDVALIDITY UNSEEN" + (" HIGHESTMODSEQ" if self.kind != "plain" else "")

        def then(command, reply):
            if self.view:
                self.take(command, reply)
            place.box.status(self.name, pairs(reply.one("STATUS").values[1]))
        return [self.send(["STATUS", quote(place.name), f"({items})"], Command("STATUS"), then)]

    # ---- a round -------------------------------------------------------------------------------------

    def start(self):
        """Send a few commands: what goes before the last keeps numbers, so that those of the next mean what was meant."""
        self.idles = False
        if not self.view:
            self.pending = self.random.choice([self.select] * 5 + [self.append, self.status, self.reconnect])()
            return
        self.pending = []
        for _ in range(self.random.choice([0, 0, 0, 1, 2])):
            self.pending += self.random.choice([self.store, self.fetch, self.search])(by_uid=False)
        if any(command not in ("STORE", "FETCH", "SEARCH") for command in self.names()):
            return    # nothing was to be stored: it asked for news instead
        size = len(self.view.entries)
        steps = [self.store] * 8 + [self.fetch] * 5 + [self.search] * 4 + [self.news] * 4 + [self.idle, self.idle, self.status, self.copy,
                self.move, self.expunge, self.uid_expunge, self.select, self.append, self.close, self.unselect]
        steps += [self.append] * 5 + [self.copy] * 2 if size < FEW else []
        steps += [self.expunge] * 6 + [self.uid_expunge] * 2 if size > MOST else []
        if not self.pending:
            steps.append(self.reconnect)
        self.pending += self.random.choice(steps)()

    def names(self):
        return [line.split()[2].upper() for line in list(self.client.wire.history)[-len(self.pending):]
                if line.startswith("  > t")] if self.pending else []

    def finish(self):
        if self.idles:
            self.client.raw(b"DONE\r\n")
        for tag, then in self.pending:
            then(self.client.finish(tag))
        self.play.commands += len(self.pending)


def negated(value):
    return None if value is None else not value


def both(a, b):
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


class Play:
    def __init__(self, server, rng, users):
        """The users have accounts; bob has "work", where anybody may deliver, and "shared" is open to all of them."""
        self.server, self.random = server, rng
        self.rounds = self.commands = self.checkpoints = self.count = 0
        self.looks = {user: self.client(user) for user in users}
        self.places = [Place("INBOX", "user.bob", None, "bob"), Place("work", "user.bob.work", None, "bob+work"),
                       Place("Shared Folders/shared", "shared", None)]
        for place in self.places:
            validity = self.looks["bob"].examine(place.name)["UIDVALIDITY"]
            place.box = Box(place.name, validity, own_seen=place.internal != "shared")
        kinds = ["qresync", "condstore", "plain", "qresync"]
        self.sessions = [Session(self, f"{user}{n}", user, kinds[n % 4]) for user in users for n in range(users[user])]
        self.lmtp = server.lmtp(timeout=SILENCE)

    def client(self, user):
        client = Imap(("127.0.0.1", self.server.imap_port), timeout=SILENCE)
        client.wire.history = collections.deque(maxlen=50)
        client.login(user, "pw")
        return client

    def text(self):
        self.count += 1
        token = f"{self.count}.test"
        lines = "A line of text.\r\n" * self.random.randrange(20)
        return f"From: a@example.net\r\nMessage-ID: <{token}>\r\nX-Token: {token}\r\n\r\n{lines}".encode()

    # ---- a round -------------------------------------------------------------------------------------

    def round(self):
        self.rounds += 1
        for place in self.places:
            place.box.new_round()
        busy = self.random.sample(self.sessions, self.random.randint(1, len(self.sessions)))
        for session in busy:
            session.start()
        delivered = self.deliver() if self.random.random() < .3 else []
        self.random.shuffle(busy)
        for session in busy:
            session.finish()
        for place in self.places:
            place.box.end_round()
        for place in delivered:
            self.look_for_deliveries(place)

    def deliver(self):
        to = self.random.sample([p for p in self.places if p.address], self.random.randint(1, 2))
        to = [p for p in to if len(p.box.messages) <= MOST]
        if not to:
            return []
        text = self.text()
        token = re.search(rb"X-Token: (\S+)", text)[1]
        for line in ["MAIL FROM:<a@example.net>", *(f"RCPT TO:<{p.address}>" for p in to), "DATA"]:
            reply = self.lmtp.command(line)
            assert reply.ok or reply.code == 354, (line, reply)
        self.lmtp.wire.send(stuffed(text))
        for place in to:
            reply = self.lmtp.reply()
            assert reply.ok, reply
            place.box.delivered(token)
        return to

    def look_for_deliveries(self, place):
        client = self.looks["bob"]
        client.examine(place.name)
        uids = place.box.unknown(client.search("ALL"))
        for uid, got in client.fetch(",".join(map(str, uids)), "(RFC822.SIZE BODY.PEEK[])").items() if uids else ():
            token = re.search(rb"X-Token: (\S+)", got["BODY[]"])[1]
            place.box.found(uid, token, hashlib.sha1(got["BODY[]"]).hexdigest(), got["RFC822.SIZE"], "a look")

    def unlink(self, store_do):
        """Take the records of some messages that are expunged out of a mailbox, as an expiry does. store_do(lines) does it."""
        place = self.random.choice(self.places)
        uids = sorted(place.box.told_gone - place.unlinked)[:20]
        place.unlinked.update(uids)
        store_do([f"unlink {place.internal} {uid} {uid}" for uid in uids])

    # ---- nobody works --------------------------------------------------------------------------------

    def checkpoint(self):
        self.checkpoints += 1
        for place in self.places:
            place.box.new_round()
        open_ones = [s for s in self.sessions if s.view]
        for session in open_ones:
            session.take(Command("NOOP"), session.client.command("NOOP"))
        seen = {(user, place): self.look(user, place) for place in self.places for user in self.looks
                if user == "bob" or place.internal == "shared"}
        for session in open_ones:
            session.view.compare(seen[session.user, session.place])
        for place in self.places:
            place.box.forget()
        for session in open_ones:
            self.ask_all(session)
            session.view.compare(seen[session.user, session.place])
        for user, place in seen:
            self.check_recent(user, place)

    def look(self, user, place):
        """By a session that has just opened it: {uid: (flags, modseq, size)}, and STATUS says the same."""
        client, box = self.looks[user], place.box
        opened = client.examine(place.name)
        told = {uid: (got["FLAGS"], got["MODSEQ"][0], got["RFC822.SIZE"])
                for uid, got in client.fetch(ALL, "(FLAGS MODSEQ RFC822.SIZE)").items()}
        bodies = [uid for uid in told if box.message(uid).digest is None] if not box.gone.keys() & told.keys() else []
        for uid, got in client.fetch(",".join(map(str, bodies)), "(BODY.PEEK[])").items() if bodies else ():
            box.has_digest(uid, hashlib.sha1(got["BODY[]"]).hexdigest(), "a look")
        bare = {uid: (plain(flags), modseq, size) for uid, (flags, modseq, size) in told.items()}
        box.settle(bare, opened["UIDNEXT"], opened["HIGHESTMODSEQ"], f"a new session of {user}")
        status = client.status(place.name, "MESSAGES", "UNSEEN", "UIDNEXT", "HIGHESTMODSEQ", "SIZE")
        wanted = {"MESSAGES": len(told), "UNSEEN": sum("\\seen" not in f for f, _, _ in bare.values()), "UIDNEXT": opened["UIDNEXT"],
                  "HIGHESTMODSEQ": opened["HIGHESTMODSEQ"], "SIZE": sum(size for _, _, size in bare.values())}
        if status != wanted or opened["EXISTS"] != len(told):
            raise Violation(f"{place.name}: STATUS of {user} says {status}, there are {opened['EXISTS']} and {wanted}")
        return bare

    def ask_all(self, session):
        """All that was never told, too."""
        if session.view.entries:
            command = Command("FETCH", members=Members(ALL))
            session.take(command, session.client.command("FETCH", ALL, session.flag_items()))

    def check_recent(self, user, place):
        """If nobody came or went, one of those who were there has each message that came."""
        steady = place.steady.get(user) == place.openings[user]
        place.steady[user] = place.openings[user]
        takers = [s for s in self.sessions if s.user == user and s.place is place and not s.view.read_only]
        new = place.box.live - place.seen.get(user, place.box.live)
        place.seen[user] = set(place.box.live)
        if steady and takers:
            lost = [uid for uid in sorted(new) if (user, uid) not in place.box.recent]
            if lost:
                raise Violation(f"{place.name}: {lost} came, and are \\Recent in no session of {user}", *(s.name for s in takers))

    def told_of(self, error, seed):
        """What a Violation says, with the last lines of those whom it concerns; of all, if it concerns nobody."""
        lines = [f"seed {seed}, round {self.rounds}: {error}"]
        names = {session.name for session in self.sessions}
        for session in self.sessions:
            if session.name in error.who or not names & set(error.who):
                lines += [f"---- {session.name} ({session.kind}), last:", *session.client.wire.history]
        return "\n".join(lines)

    def end(self):
        for session in self.sessions:
            session.client.close()
        for client in self.looks.values():
            client.close()
        self.lmtp.close()
