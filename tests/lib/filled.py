"""A Cyrus with something of everything that replication carries."""
from lib import messages

SCRIPT = 'require ["fileinto"];\r\nfileinto "Sent";\r\n'


def fill(peer):
    """Something of everything that replication carries."""
    peer.make_user("bob", "carol", "dave", "first.last")
    with peer.imap("bob") as c:
        for number, flags in enumerate([[], ["\\Seen"], ["\\Flagged", "Important"], ["$Forwarded", "\\Answered"]]):
            c.append("INBOX", messages.KINDS[number](number), flags, 1769940000 + 86400 * number)
        for number, name in enumerate(("Sent", "a b.c", "Entw&APw-rfe", "gone")):
            c.ok("CREATE", f'"{name}"')
            c.append(name, messages.plain(10 + number))
        c.ok("SUBSCRIBE", "Sent")
        c.ok("SUBSCRIBE", '"a b.c"')
        c.ok("SETACL", "INBOX", "carol", "lrs")
        c.ok("SETMETADATA", "Sent", '(/shared/comment "of \\"Sent\\"")')
        c.select("INBOX")
        c.ok("UID STORE", "2", "ANNOTATION", '(/comment (value.shared "a note"))')
        c.store("4", "+FLAGS.SILENT", "\\Deleted")
        c.ok("EXPUNGE")
        c.ok("DELETE", "gone")
    with peer.admin() as c:
        for name, rights in (("dept", "lrsip"), ("closed", '""'), ("full", '""')):
            c.ok("CREATE", name)
            c.ok("SETACL", name, "anyone", rights)
        c.ok("SETQUOTA", "user/bob", "(STORAGE 1000 MESSAGE 100 X-NUM-FOLDERS 10)")
        c.ok("SETQUOTA", "full", "(STORAGE 0)")
        c.ok("SETMETADATA", '""', '(/shared/comment "of a")')
    for start, user in ((20, "carol"), (30, "dave"), (40, "first.last")):
        with peer.imap(user) as c:
            for number in range(start, start + 3):
                c.append("INBOX", messages.plain(number), ["\\Seen"])
    with peer.imap("carol") as c:
        c.select("Other Users/bob")
        c.store("1", "+FLAGS", "\\Seen")
    with peer.csync(sieve=False) as c:
        c.apply("SIEVE", {"USERID": "dave", "FILENAME": "main.script", "LAST_UPDATE": 1769940000,
                          "CONTENT": SCRIPT})
        c.apply("ACTIVATE_SIEVE", {"USERID": "dave", "FILENAME": "main.bc"})


def sync_all(peer):
    """-A alone leaves out quota roots of shared mailboxes and server annotations: those only log lines carry."""
    peer.sync_client("-A")
    peer.sync_client("-R", "-1")
