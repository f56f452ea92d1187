"""The operations of the walk (lib.walk): each a client's command on users A and B, who have

    A        INBOX
    A/here   three messages, \\Deleted and with a keyword; selected in the session `user`
    A/there  one message
    B        INBOX; only where the operation asks for it"""
import re
from contextlib import suppress
from dataclasses import dataclass, field

from lib import messages
from lib.imap import quote
from lib.lmtp import stuffed
from lib.mail_server import ADMIN
from lib.wire import WireError

BEHIND = (("a", "metad"), ("a", "sync_client"), ("b", "sync_server"), ("b", "metad"))
ALL_RIGHTS = "lrswipkxtecda"
SCRIPT = "keep;\r\n"


@dataclass
class Op:
    name: str
    run: object                      # run(world): see lib.walk._answer
    program: str = "imapd"
    more: object = None              # more(world), to prepare it
    users: str = "A"                 # B has an INBOX, C is a name
    exact: bool = True               # the bytes stored are the same each time
    between: object = lambda before, after: ()    # what else it may be left as: a list of views (lib.walk.Walk.look)
    poisons: bool = False            # a partition of the replica
    finish: object = None            # finish(world): what was left half done, by hand
    behind: tuple = BEHIND           # who else has a part in it, and is broken too: (side, program)
    must: dict = field(default_factory=dict)    # {(side, program): points it has to pass}

    def prepare(self, w):
        w.admin.ok("CREATE", w.name("A"))
        w.user = w.session("A")
        for name in ("here", "there"):
            w.user.ok("CREATE", name)
        for number in range(3):
            w.user.append("here", messages.plain(number), ["\\Deleted", "old"])
        w.user.append("there", messages.plain(3))
        if "B" in self.users:
            w.admin.ok("CREATE", w.name("B"))
        if self.more:
            self.more(w)
        w.user.select("here")


# ---- what takes several steps, each wholly done or not at all ----------------------------------------

def steps(*groups):
    """The mailboxes of each group change together, and the groups one after the other."""
    def between(before, after):
        view, out = dict(before), []
        for group in groups:
            for key in group:
                view.pop(key, None)
                if key in after:
                    view[key] = after[key]
            out.append(dict(view))
        return out
    return between


def moved(old, new, *below):
    return steps(*((old + name, new + name) for name in below))


def deleted(*names):
    return steps(*((name, f"DELETED.{name}.TIME") for name in names))


def user_moves(before, after):
    """One mailbox after the other: first its name, then the owner's rights."""
    view, out = dict(before), []
    for name in ("", ".here", ".there"):
        view["user.C" + name] = view.pop("user.A" + name)
        out.append(dict(view))
        view["user.C" + name] = after["user.C" + name]
        out.append(dict(view))
    return out


def emptied(view, key):
    """The mailbox without its messages."""
    return {**view, key: re.sub(r", \{.*\}\)$", ", {})", view[key])}


def inbox_moves(before, after):
    """RENAME of INBOX: a new mailbox, everything copied there, everything removed here."""
    full = {**before, "user.A.old": after["user.A.old"]}
    return [emptied(full, "user.A.old"), full]


def sieve_made(before, after):
    return [emptied({**before, "user.A.#sieve": after["user.A.#sieve"]}, "user.A.#sieve")]


# ---- LMTP --------------------------------------------------------------------------------------------

def open_to_post(w):
    w.user.ok("SETACL", "there", "anyone", "p")
    w.lmtp = w.a.lmtp()


TEN = [f"f{number}" for number in range(10)]


def ten_folders(w):
    for name in TEN:
        w.user.ok("CREATE", name)
        w.user.ok("SETACL", name, "anyone", "p")
    w.lmtp = w.a.lmtp()


def deliver(w):
    """To A's INBOX, to A's folder and to B."""
    return delivered(w, {w.names["A"]: "user.A", f"{w.names['A']}+there": "user.A.there", w.names["B"]: "user.B"})


def deliver_ten(w):
    """So many that they share one sync."""
    return delivered(w, {f"{w.names['A']}+{name}": f"user.A.{name}" for name in TEN})


def delivered(w, boxes):
    """boxes: {recipient: mailbox}. Each is answered by itself."""
    out = dict.fromkeys(boxes.values())
    try:
        for line in ("MAIL FROM:<x@walk.test>", *(f"RCPT TO:<{name}>" for name in boxes), "DATA"):
            if not w.lmtp.command(line).code in (250, 354):
                return False
        w.lmtp.wire.send(stuffed(messages.plain(9)))
        for box in boxes.values():
            out[box] = w.lmtp.reply().ok
        w.lmtp.quit()
    except (WireError, OSError):
        pass
    finally:
        w.lmtp.close()
    return out


# ---- IMAP --------------------------------------------------------------------------------------------

def user(*words):
    def run(w):
        w.user.ok(*words)
        return True
    return run


def admin(*words):
    """A word "A/x" that begins with a letter of a user and is marked by @ is a mailbox; %A is the user's name."""
    def run(w):
        w.admin.ok(*(w.name(x[1:]) if x[:1] == "@" else w.names[x[1:]] if x[:1] == "%" else x for x in words))
        return True
    return run


def append(w):
    w.user.append("there", messages.plain(5), ["\\Flagged", "fresh"], plus=False)
    return True


def far(w):
    """A/there is on another partition than A/here."""
    w.admin.ok("RENAME", w.name("A/there"), w.name("A/there"), "other")


def dozen(w):
    """12 messages in A/here."""
    w.user.select("here")
    for _ in range(2):
        w.user.ok("COPY", "1:*", "here")


def many(w):
    """192 messages with so long a history that with the next change it is time to compact the journal."""
    w.user.select("here")
    for _ in range(6):
        w.user.ok("COPY", "1:*", "here")
    for how in "+-+-":
        w.user.ok("STORE", "1:*", how + "FLAGS", "(\\Flagged)")


def store_many(w):
    """The journal is folded when the session is idle or ends, unless somebody else has the mailbox: sync_client, for a moment."""
    w.user.ok("STORE", "1:*", "+FLAGS", "(\\Answered fresh)")
    with suppress(TimeoutError):
        w.walk.settled()
    return True


def refused_there(w):
    """The replica's disk fails: the user is set aside, everybody else goes on, and later he is tried again."""
    w.b.points["sync_server"].arm("store.journal.sync", "eio")
    return append(w)


def deleted_before(w):
    w.user.ok("SETACL", "there", ADMIN, ALL_RIGHTS)
    w.user.ok("DELETE", "there")
    (_, _, w.gone), = w.admin.list("", f"DELETED/user/{w.names['A']}/there/*")


def delete_for_good(w):
    w.admin.ok("DELETE", quote(w.gone))
    return True


def tree(w):
    for name in ("here/one", "here/one/two"):
        w.user.ok("CREATE", name)
        w.user.append(name, messages.plain(7))


def share(w):
    """B's folder, which A reads."""
    w.other = w.session("B")
    w.other.ok("CREATE", "open")
    w.other.append("open", messages.plain(8))
    w.other.append("open", messages.plain(9))
    w.other.ok("SETACL", "open", w.names["A"], "lrs")
    w.seen = w.session("A")
    w.seen.select(f"Other Users/{w.names['B']}/open")


def seen(w):
    w.seen.ok("STORE", "1", "+FLAGS", "(\\Seen)")
    return True


def move_rest(w):
    """Of a user whose INBOX has the new name already."""
    with w.a.admin() as c:
        for name in ("here", "there") if c.list("", w.name("C")) else ():
            if c.list("", w.name(f"A/{name}")):
                c.ok("RENAME", w.name(f"A/{name}"), w.name(f"C/{name}"))


def limit(w):
    w.admin.ok("SETQUOTA", w.name("A"), "(STORAGE 1000)")


# ---- csync, to the primary: what no other protocol of ours can ask for yet ---------------------------

def applied(*orders):
    def run(w):
        with w.a.csync(sieve=False) as c:
            for what, value in orders:
                if c.try_apply(what, value(w)).status != "OK":
                    return False
        return True
    return run


def annotation(value):
    return lambda w: {"MBOXNAME": f"user.{w.names['A']}.here", "ENTRY": "/comment", "USERID": "", "VALUE": value}


def expunge_two(w):
    with w.a.csync() as c:
        box, = c.mailboxes(f"user.{w.names['A']}.here")
        wanted = {"MBOXNAME": box["MBOXNAME"], "UNIQUEID": box["UNIQUEID"], "UID": [1, 2]}
        return c.try_apply("EXPUNGE", wanted).status == "OK"


def script(**more):
    return lambda w: {"USERID": w.names["A"], **more}


def scripts(w):
    assert applied(("SIEVE", script(FILENAME="old.script", LAST_UPDATE=1, CONTENT=SCRIPT)))(w)


JOURNAL = {"store.journal.write_frame", "store.journal.sync", "store.commit.publish"}
ARRIVES = {"store.commit.link", "store.commit.sync_file", "store.commit.sync_names"}
LOGGED = {"synclog.append"}
TAKEN = {("a", "sync_client"): {"synclog.take", "synclog.done"}}
METADB = {("a", "metad"): {"meta.db.write", "meta.db.fsync", "meta.reply"},
          ("b", "metad"): {"meta.db.write", "meta.db.fsync", "meta.reply"}, **TAKEN}


def passes(program="imapd", here=(), there=(), more=None):
    return {("a", program): LOGGED | set(here), ("b", "sync_server"): set(there), **(more or TAKEN)}


OPS = [
    Op("deliver", deliver, "lmtpd", open_to_post, "AB", exact=False,
       must=passes("lmtpd", JOURNAL | ARRIVES | {"store.stage.write"}, JOURNAL | {"store.stage.write"})),
    Op("deliver_ten", deliver_ten, "lmtpd", ten_folders, exact=False,
       must=passes("lmtpd", {"store.commit.syncfs", "store.commit.syncfs_frames"}, JOURNAL)),
    Op("append", append, must=passes("imapd", JOURNAL | ARRIVES, JOURNAL)),
    Op("store", user("STORE", "1:3", "+FLAGS", "(\\Seen \\Answered fresh)"), must=passes("imapd", JOURNAL, JOURNAL)),
    Op("copy", user("COPY", "1:3", "there"), must=passes("imapd", JOURNAL | {"store.commit.link"}, JOURNAL | {"store.stage.adopt"})),
    Op("copy_dozen", user("COPY", "1:*", "there"), more=dozen,
       must=passes("imapd", JOURNAL | {"store.commit.link"}, JOURNAL | {"store.stage.sync"})),
    Op("copy_far", user("COPY", "1:3", "there"), more=far, must=passes("imapd", JOURNAL, JOURNAL)),
    Op("store_many", store_many, more=many,
       must=passes("imapd", JOURNAL | {"store.compact.switch", "store.compact.unlink"}, JOURNAL)),
    Op("set_aside", refused_there, poisons=True, behind=(("a", "sync_client"),),
       must={**TAKEN, ("a", "sync_client"): {"channels.aside.write", "channels.aside.rename"}}),
    Op("expunge", user("EXPUNGE"), must=passes("imapd", JOURNAL, JOURNAL)),
    Op("seen", seen, more=share, users="AB", must=passes(more=METADB)),
    Op("create", user("CREATE", "new/deep"), between=steps(["user.A.new"]), must=passes(here={"store.mailbox.mkdir", "store.index.create"},
                                                      there={"store.mailbox.mkdir"}, more=METADB)),
    Op("rename", user("RENAME", "here", "gone"), more=tree, between=moved("user.A.here", "user.A.gone", "", ".one", ".one.two"),
       must=passes(more=METADB)),
    Op("rename_inbox", user("RENAME", "INBOX", "old"), between=inbox_moves,
       more=lambda w: w.user.append("INBOX", messages.plain(4)), must=passes(here=JOURNAL, more=METADB)),
    Op("rename_user", admin("RENAME", "@A", "@C"), users="AC", between=user_moves, finish=move_rest,
       must=passes(more=METADB)),
    Op("rename_partition", admin("RENAME", "@A/here", "@A/here", "other"), must=passes(here={"store.move.write"})),
    Op("delete", user("DELETE", "there"), must=passes(more=METADB)),
    Op("delete_for_good", delete_for_good, more=deleted_before, must=passes(here={"store.mailbox.trash"}, more=METADB)),
    Op("delete_user", admin("DELETE", "@A"), between=deleted("user.A.there", "user.A.here", "user.A"), must=passes(more=METADB),
       more=lambda w: w.admin.ok("SETACL", w.name("A"), ADMIN, ALL_RIGHTS)),
    Op("subscribe", user("SUBSCRIBE", "here"), must=passes(more=METADB)),
    Op("unsubscribe", user("UNSUBSCRIBE", "here"), more=lambda w: w.user.ok("SUBSCRIBE", "here"), must=passes(more=METADB)),
    Op("setacl", user("SETACL", "here", "anyone", "lr"), must=passes(more=METADB)),
    Op("deleteacl", user("DELETEACL", "here", "anyone"), more=lambda w: w.user.ok("SETACL", "here", "anyone", "lr"),
       must=passes(more=METADB)),
    Op("setquota", admin("SETQUOTA", "@A", "(STORAGE 2000 MESSAGE 50)"), must=passes(more=METADB)),
    Op("quota_without_limits", admin("SETQUOTA", "@A", "()"), more=limit, must=passes(more=METADB)),
    Op("unquota", applied(("UNQUOTA", lambda w: f"user.{w.names['A']}")), "sync_server", limit,
       must=passes("sync_server", more=METADB)),
    Op("annotation", applied(("ANNOTATION", annotation("a note"))), "sync_server", must=passes("sync_server", more=METADB)),
    Op("unannotation", applied(("UNANNOTATION", lambda w: {k: v for k, v in annotation("")(w).items() if k != "VALUE"})),
       "sync_server", lambda w: applied(("ANNOTATION", annotation("a note")))(w), must=passes("sync_server", more=METADB)),
    Op("expunge_order", expunge_two, "sync_server", must=passes("sync_server", JOURNAL, JOURNAL)),
    Op("sieve", applied(("SIEVE", script(FILENAME="new.script", LAST_UPDATE=1, CONTENT=SCRIPT))), "sync_server", exact=False, between=sieve_made,
       must=passes("sync_server", JOURNAL, JOURNAL)),
    Op("activate_sieve", applied(("ACTIVATE_SIEVE", script(FILENAME="old.bc"))), "sync_server", scripts, exact=False,
       must=passes("sync_server")),
    Op("unsieve", applied(("UNSIEVE", script(FILENAME="old.script"))), "sync_server", scripts, exact=False,
       must=passes("sync_server", JOURNAL)),
]
