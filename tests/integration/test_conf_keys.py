"""Keys of imapd.conf that nothing else here sets: each has the effect that imapd.conf(5) tells of."""
import base64
import grp
import hashlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lib import places
from lib.csync import Csync
from lib.imap import ImapError, Literal
from lib.mail_server import ADMIN, PASSWORD
from lib.metad import PUT, MetaConn, MetaError, item
from lib.places import wait_until

MESSAGE = b"Subject: x\r\n\r\nx\r\n"


def answer(c, line):
    """What one raw command is answered, untagged lines and all."""
    c.wire.send(line + b"\r\n")
    lines = [c.wire.line().decode()]
    while not lines[-1].startswith("x "):
        lines.append(c.wire.line().decode())
    return lines


# ---- what is wrong -----------------------------------------------------------------------------------------------

PROGRAMS = {
    "imapd": (), "lmtpd": (), "sync_server": (), "metad": (), "master": (), "ctl_cyrusdb": ("-r",), "ctl_mboxlist": ("-d",),
    "cyr_dbtool": ("mailboxes", "btree", "show"), "cyr_info": ("conf",), "cyr_synclog": ("-u", "bob"), "mbpath": ("user/bob",),
    "quota": (), "reconstruct": ("user/bob",), "sync_client": ("-u", "bob"), "sync_reset": ("-f", "bob"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_says_where_a_configuration_is_wrong(server, program):
    s = server(services={name: None for name in ("imap", "imaps", "lmtp", "lmtpunix", "csync")})
    s.stop()
    good = s.conf.read_text()
    number = good.count("\n") + 1
    for line, wanted in [("maxword: abc", "maxword: "), ("timeout: 32m\ntimeout: 33m", "timeout: is set twice"),
                         ("sync_log_chain: perhaps", "sync_log_chain: "), ("a line without", "no key"),
                         ("@include: /nonexistent", "/nonexistent")]:
        s.conf.write_text(good + line + "\n")
        done = subprocess.run([s.program(program), "-C", s.conf, *PROGRAMS[program]], env=s.environment(), text=True, cwd="/",
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
        said = done.stderr + "\n".join(s.log())
        where = f"{s.conf}:{number + line.count(chr(10))}: "
        assert done.returncode == 78 and re.search(re.escape(where) + ".*" + re.escape(wanted), said), (line, done)
    s.conf.write_text(good.replace(f"configdirectory: {s.root}/conf", "configdirectory: /nonexistent"))
    if program not in ("cyr_info", "cyr_synclog", "metad"):    # which do not look there, or make it
        done = subprocess.run([s.program(program), "-C", s.conf, *PROGRAMS[program]], env=s.environment(), text=True, cwd="/",
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
        assert done.returncode == 78 and "configdirectory" in done.stderr, done
    s.expect("78|fatal|ERROR")


# ---- limits ------------------------------------------------------------------------------------------------------

def test_limits_of_commands(make):
    s = make(maxword="100", maxquoted="200", maxliteral="300", maxliterals=3, maxargssize="1000")
    with s.imap("alice") as c:
        for line, wanted in [
                (b"x SELECT " + b"y" * 100, "x NO [NONEXISTENT]"), (b"x SELECT " + b"y" * 101, "x BAD Word too long"),
                (b'x SELECT "' + b"y" * 200 + b'"', "x NO [NONEXISTENT]"),
                (b'x SELECT "' + b"y" * 201 + b'"', "x BAD Quoted string too long"),
                (b"x SELECT {300+}\r\n" + b"y" * 300, "x NO [NONEXISTENT]"),
                (b"x SELECT {301+}\r\n" + b"y" * 301, "x NO [TOOBIG]"),
                (b"x SEARCH" + b" SUBJECT {1+}\r\na" * 3, "x OK"),
                (b"x SEARCH" + b" SUBJECT {1+}\r\na" * 4, "x BAD Too many literals"),
                (b"x SELECT {0+}\r\n", "x NO"),
                (b"x SEARCH" + b" ALL" * 230, "x OK"), (b"x SEARCH" + b" ALL" * 260, "x BAD Command too long")]:
            c.select("INBOX")
            assert answer(c, line)[-1].startswith(wanted), line
            c.ok("NOOP")
        # A message is none of those: its bound is maxmessagesize.
        c.append("INBOX", b"Subject: x\r\n\r\n" + b"y" * 900 + b"\r\n" + b"z" * 900 + b"\r\n")


def test_a_literal_without_a_limit_of_its_own(make):
    with make(maxliteral=0, maxargssize="150K").imap("alice") as c:
        assert answer(c, b"x SELECT {140000+}\r\n" + b"y" * 140000)[-1].startswith("x NO [NONEXISTENT]")
        assert answer(c, b"x SELECT {160000+}\r\n" + b"y" * 160000)[-1].startswith("x NO [TOOBIG]")
        c.ok("NOOP")


def test_words_without_a_limit_of_their_own(make):
    s = make({}, maxword=0, maxquoted=0, maxargssize="200K", sync_maxline="300K")
    with s.imap("alice") as c:
        for before, after in ((b"", b""), (b'"', b'"')):
            for size, wanted in ((150000, "x NO [NONEXISTENT]"), (250000, "x BAD")):
                assert answer(c, b"x SELECT " + before + b"y" * size + after)[-1].startswith(wanted), (before, size)
                c.ok("NOOP")
    s.expect("one line takes more than|a word is longer than")
    with s.csync() as c:
        assert c.command(b"GET USER " + b"x" * 150000).status != "BAD"
        assert c.command(b"GET USER " + b"x" * 320000).status == "BAD"
        c.ok(b"NOOP")


def test_the_line_of_a_replication_client(server):
    s = server(imapd={"sync_maxline": "64K"})
    s.expect("one line takes more than 65536 bytes")
    with s.csync() as c:
        assert c.command(b"GET USER " + b"x" * 60000).status != "BAD"
        assert c.command(b"GET USER " + b"x" * 70000).status == "BAD"
        c.ok(b"NOOP")


# ---- logging in ----------------------------------------------------------------------------------------------------

def test_plain_passwords_are_chided(make):
    s = make(plaintextloginpause="1s", plaintextloginalert="Use TLS, please.")
    with s.imap() as c:
        began = time.monotonic()
        c.wire.send(b"x LOGIN alice " + PASSWORD.encode() + b"\r\n")
        assert c.wire.line() == b"* OK [ALERT] Use TLS, please."
        assert c.wire.line().startswith(b"x OK") and time.monotonic() - began >= 1
    with s.imap() as c:
        c.starttls()
        began = time.monotonic()
        c.wire.send(b"x LOGIN alice " + PASSWORD.encode() + b"\r\n")
        assert c.wire.line().startswith(b"x OK") and time.monotonic() - began < 1


def test_anonymous(make):
    with make(sasl_mech_list="PLAIN ANONYMOUS").imap() as c:
        assert "AUTH=ANONYMOUS" not in c.capabilities()
        assert c.command("AUTHENTICATE", "ANONYMOUS", base64.b64encode(b"me").decode()).status == "NO"
    s = make(sasl_mech_list="PLAIN ANONYMOUS", allowanonymouslogin=True)
    with s.admin() as c:
        c.ok("CREATE", "open")
        c.ok("SETACL", "open", "anyone", "lr")
        c.ok("CREATE", "closed")
        c.ok("SETACL", "closed", "anyone", '""')
    with s.imap() as c:
        assert "AUTH=ANONYMOUS" in c.capabilities()
        c.ok("AUTHENTICATE", "ANONYMOUS", base64.b64encode(b"me").decode())
        c.ok("EXAMINE", '"Shared Folders/open"')
        assert c.command("EXAMINE", '"Shared Folders/closed"').status == "NO"
        assert c.command("SELECT", "INBOX").status == "NO"


def test_a_layer_is_wanted(make):
    s = make()
    s.stop()
    s.options["sasl_minimum_layer"] = 1
    s.write_conf()
    s.start()
    with s.imap() as c:
        assert not [name for name in c.capabilities() if name.startswith("AUTH=")]
        assert c.command("AUTHENTICATE", "PLAIN", base64.b64encode(b"\0alice\0" + PASSWORD.encode()).decode()).status == "NO"
        c.starttls()
        assert "AUTH=PLAIN" in c.capabilities()
        c.authenticate_plain("alice", PASSWORD)


def test_channels_that_hear_of_what_is_applied(server):
    s = server(imapd={"sync_log": True, "sync_log_channels": "east squatter other",
                      "sync_log_unsuppressable_channels": "squatter other"})
    s.make_user("alice")

    def said():
        return {name: (s.root / "conf/sync" / name / "log").stat().st_size for name in ("east", "squatter", "other")}
    before = said()
    with s.csync() as c:
        c.ok(b"APPLY UNUSER alice")
    assert all(before.values()) and {name for name, size in said().items() if size > before[name]} == {"squatter", "other"}


def test_administrators_of_one_service(server):
    s = server(imapd={"csync_admins": "mirror"})
    s.add_users("mirror")
    for user, status in ((ADMIN, "NO"), ("mirror", "OK")):
        with Csync.connect(("127.0.0.1", s.csync_port), user, PASSWORD, compress=False, sieve=False) as c:
            assert c.command(b"NOOP").status == status
    for user in (ADMIN, "mirror"):    # for IMAP the common list counts
        with s.imap(user) as c:
            assert (c.command("CREATE", f"made-by-{user}").status == "OK") == (user == ADMIN)


def test_login_names_in_small_letters(make):
    for lower, status in ((True, "OK"), (False, "NO")):
        with make(username_tolower=lower, failedloginpause="0s").imap() as c:
            assert c.command("LOGIN", "ALICE", PASSWORD).status == status


def test_those_who_may_act_for_others(make):
    s = make(proxyservers="bob", failedloginpause="0s")
    with s.imap() as c:
        c.authenticate_plain("bob", PASSWORD, act_as="alice")
        c.append("INBOX", MESSAGE)
    with s.imap("alice") as c:
        assert c.select("INBOX")["EXISTS"] == 1
    for user, act_as in (("alice", "bob"), ("bob", ADMIN)):
        with s.imap() as c:    # as an administrator a proxy may do no more than any user
            try:
                c.authenticate_plain(user, PASSWORD, act_as=act_as)
            except ImapError:
                assert user == "alice"
            else:
                assert user == "bob" and c.command("CREATE", "shared").status == "NO"


# ---- what is said and noted ------------------------------------------------------------------------------------------

def test_id_without_particulars(make):
    with make(imapidresponse=False).imap("alice") as c:
        assert [r.raw for r in c.ok("ID", "NIL").all("ID")] == [b"* ID NIL"]


def test_slow_commands_are_told(make):
    s = make(commandmintimer="0.5", failedloginpause="1s")
    with s.imap() as c:
        c.command("LOGIN", "alice", "wrong")
        c.login("alice", PASSWORD)
        c.ok("NOOP")
    [line] = [line for line in s.log() if "cmdtimer:" in line]
    assert re.search(r"cmdtimer: sessionid=<\S+> cmd=<LOGIN> time=<1\.\d{3}>", line)


@pytest.mark.parametrize("options, told", [({}, False), ({"debug": True}, True)])
def test_small_things_are_told_if_asked(make, options, told):
    s = make(**options)
    with s.imap("alice") as c:
        c.append("INBOX", MESSAGE)
    s.kill()
    s.more_environment["US_BOOT_ID"] = "another"
    s.start()
    with s.imap("alice") as c:
        c.append("INBOX", MESSAGE)
    assert any("event=store.mailbox.recovered" in line for line in s.log()) == told


def test_telemetry_by_session(make):
    s = make(telemetry_bysessionid=True)
    folder = s.root / "conf/log/alice"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    for _ in range(2):
        with s.imap("alice") as c:
            c.logout()
    names = sorted(file.name for file in folder.iterdir())
    assert len(names) == 2 and all(re.fullmatch(r"imap-\d+-\d+-1-\d+", name) for name in names), names


# ---- rights -----------------------------------------------------------------------------------------------------------

def test_nothing_is_changed_on_a_readonly_server(make):
    s = make()
    with s.imap("alice") as c:
        c.append("INBOX", MESSAGE)
    s.stop()
    s.options["readonly"] = True
    s.write_conf()
    s.start()
    with s.imap("alice") as c:
        assert c.select("INBOX")["READ-ONLY"]
        for command in ("CREATE x", "DELETE x", "RENAME x y", "SUBSCRIBE INBOX", "SETACL INBOX bob l", "STORE 1 FLAGS (x)"):
            assert c.command(command).status == "NO", command
        assert c.command("APPEND", "INBOX", Literal(MESSAGE)).status == "NO"


def test_the_first_rights_of_a_shared_mailbox(make):
    with make(defaultacl="bob lrswi anyone p").admin() as c:
        c.ok("CREATE", "pub")
        acl = [str(v) for v in c.ok("GETACL", "pub").one("ACL").values[1:]]
        assert acl == ["bob", "lrswi", "anyone", "p"]


@pytest.mark.parametrize("implicit, kept", [("lkxan", "lkxcan"), ("la", "la")])
def test_what_an_owner_cannot_lose(make, implicit, kept):
    s = make(implicit_owner_rights=implicit)
    with s.imap("alice") as c:
        c.ok("CREATE", "x")
        c.ok("SETACL", "x", "alice", "a")
        assert str(c.ok("MYRIGHTS", "x").one("MYRIGHTS").values[1]) == kept


def test_who_may_give_rights_to_whom(make):
    with make(anyoneuseracl=False).imap("alice") as c:
        assert c.command("SETACL", "INBOX", "anyone", "lr").status == "NO"
        c.ok("SETACL", "INBOX", "bob", "lr")
    s = make(allowsetacl=False)
    for user, name in (("alice", "INBOX"), (ADMIN, "user/alice")):
        with s.imap(user) as c:
            assert c.command("SETACL", name, "bob", "lr").status == "NO"
            assert c.command("DELETEACL", name, "bob").status == "NO"
            c.ok("GETACL", name)


@pytest.mark.parametrize("right, deletes", [("c", "c"), ("d", "d")])
def test_which_old_right_lets_delete(make, right, deletes):
    s = make(deleteright=right)
    with s.imap("alice") as owner, s.imap("bob") as c:
        for old in "cd":
            owner.ok("CREATE", f"by-{old}")
            owner.ok("SETACL", f"by-{old}", "bob", "lr" + old)
            name = f'"Other Users/alice/by-{old}"'
            assert ("x" in str(c.ok("MYRIGHTS", name).one("MYRIGHTS").values[1])) == (old == deletes)
            assert (c.command("DELETE", name).status == "OK") == (old == deletes)


# ---- mailboxes ----------------------------------------------------------------------------------------------------------

def test_options_of_new_mailboxes(make):
    for options, shown in (({}, "P"), ({"mailbox_default_options": 4}, "PD")):
        s = make(services=None, **options)
        with s.csync() as c:
            assert [m["OPTIONS"] for m in c.mailboxes("user.alice")] == [shown]


@pytest.mark.parametrize("key, limit, message, warned", [
    ("quotawarnkb", "STORAGE 5", MESSAGE + b"y" * 900 + b"\r\n", {0: True, 1: False, 5: True}),
    ("quotawarnmsg", "MESSAGE 6", MESSAGE, {0: True, 2: False, 3: True})])
def test_a_quota_that_is_nearly_full_warns_late_if_asked(make, key, limit, message, warned):
    for left, told in warned.items():
        s = make(quotawarn=50, **{key: left})
        with s.admin() as c:
            c.ok("SETQUOTA", "user/alice", f"({limit})")
        with s.imap("alice") as c:
            for _ in range(4):
                c.append("INBOX", message)
            alerts = [r.raw for r in c.ok("SELECT", "INBOX").untagged if b"[ALERT]" in r.raw]
            assert bool(alerts) == told, left
        s.stop()


def test_what_the_folders_of_others_are_called(make):
    s = make(userprefix="People", sharedprefix="Everybody")
    with s.admin() as c:
        c.ok("CREATE", "news")
    with s.imap("bob") as owner:
        owner.ok("SETACL", "INBOX", "alice", "lr")
    with s.imap("alice") as c:
        assert {r.values[2] for r in c.ok("LIST", '""', "*").all("LIST")} >= {"INBOX", "People/bob", "Everybody/news"}
        assert c.ok("NAMESPACE").one("NAMESPACE").values[1:] == [[[b"People/", b"/"]], [[b"Everybody/", b"/"]]]


def test_where_the_deleted_go(make):
    s = make(deletedprefix="Graveyard", delete_mode="delayed")
    with s.imap("alice") as c:
        c.ok("CREATE", "x")
        c.ok("DELETE", "x")
    with s.admin() as c:
        [name] = [r.values[2] for r in c.ok("LIST", '""', "Graveyard*").all("LIST")]
        assert re.fullmatch(r"Graveyard/user/alice/x/[0-9A-F]{8}", name)


def test_a_message_that_shall_fail(make):
    with make(debug_writefail_guid=hashlib.sha1(MESSAGE).hexdigest()).imap("alice") as c:
        assert c.command("APPEND", "INBOX", Literal(MESSAGE)).status == "NO"
        c.append("INBOX", MESSAGE + b"y\r\n")
        assert c.select("INBOX")["EXISTS"] == 1


# ---- SEARCH ---------------------------------------------------------------------------------------------------------------

ODD = ("Subject: =?utf-8?q?caf=C3=A9?= au  lait\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>needle</p> two  words\r\n").encode()


@pytest.mark.parametrize("options, found", [
    ({}, "abcd"), ({"search_skipdiacrit": False}, "bcd"), ({"search_skiphtml": True}, "ab"),
    ({"search_whitespace": "keep"}, "ac"), ({"search_whitespace": "skip"}, "abcde"),
])
def test_how_text_is_compared(make, options, found):
    questions = {"a": ("SUBJECT", Literal("caf\u00e8".encode())), "b": ("SUBJECT", '"au lait"'), "c": ("BODY", "needle"), "d": ("BODY", '"two words"'),
                 "e": ("BODY", '"twowords"')}
    with make(**options).imap("alice") as c:
        c.append("INBOX", ODD)
        c.select("INBOX")
        assert "".join(name for name, q in questions.items() if c.search("CHARSET", "UTF-8", *q)) == found


# ---- sockets, TLS, processes ------------------------------------------------------------------------------------------------

def server_end(client):
    """What ss(8) tells of the server's socket of this connection."""
    port = client.wire.socket.getsockname()[1]
    command = ["ss", "-tnoeH", "--tos", "dport", "=", f":{port}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_connections_are_probed(make):
    with make(tcp_keepalive=True, tcp_keepalive_idle="500s", tcp_keepalive_intvl="30s", tcp_keepalive_cnt=3).imap("alice") as c:
        def minutes():    # once nothing is under way
            found = re.search(r"timer:\(keepalive,(\d+)min", server_end(c))
            return found and int(found[1])
        wait_until(minutes, 5, "a timer of the system")
        assert 6 <= minutes() <= 8
    with make().imap("alice") as c:
        time.sleep(1)
        assert "keepalive" not in server_end(c)


def test_packets_are_marked(make):
    with make(qosmarking="ef").imap("alice") as c:
        assert "tos:0xb8" in server_end(c)


def test_locks_of_names_can_be_elsewhere(server):
    s = server()
    s.stop()
    shutil.rmtree(s.root / "conf/lock", ignore_errors=True)
    place = s.root / "locks"
    place.mkdir(mode=0o700)
    shutil.chown(place, places.daemon_user().pw_name)
    s.options["mboxname_lockpath"] = place
    s.write_conf()
    s.start()
    s.make_user("alice")
    assert list(place.rglob("*")) and not (s.root / "conf/lock").exists()


def tls(s, **settings):
    """(cipher, session) of a connection to imaps whose client wants TLS 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if "ciphers" in settings:
        context.set_ciphers(settings["ciphers"])
    with context.wrap_socket(socket.create_connection(("127.0.0.1", s.imaps_port), 20)) as t:
        t.recv(1000)
        return t.cipher()[0], t.session


def test_ciphers_and_sessions(make):
    strong, other = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"
    s = make(tls_ciphers=f"{other}:{strong}", tls_session_timeout="7m")
    assert tls(s, ciphers=f"{strong}:{other}")[0] == strong
    assert tls(s)[1].ticket_lifetime_hint == 420
    s.expect("no shared cipher")
    with pytest.raises(ssl.SSLError):
        tls(s, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    s = make(tls_ciphers=f"{other}:{strong}", tls_prefer_server_ciphers=True)
    assert tls(s, ciphers=f"{strong}:{other}")[0] == other


def test_nothing_older_than_tls_1_2(make):
    s = make()
    for version in ("-tls1", "-tls1_1"):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{s.imaps_port}", version, "-cipher",
                               "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert "Cipher is (NONE)" in done.stdout and "alert protocol version" in done.stderr


def test_which_versions_of_tls(make):
    s = make(tls_versions="tls1_3")
    s.expect("protocol")
    with pytest.raises(ssl.SSLError):
        tls(s)
    s.imaps("alice").close()


def test_the_group_of_the_services(server):
    s = server(imapd={"cyrus_group": "daemon"})
    s.make_user("alice")
    wanted = grp.getgrnam("daemon").gr_gid
    ids = {}
    for pid in places.processes_of(s.root):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except FileNotFoundError:    # a connection's that has ended
            continue
        uids, gids = (re.search(rf"^{kind}:\t(.*)", status, re.M)[1].split() for kind in ("Uid", "Gid"))
        ids[pid] = (uids, gids)
        assert set(gids) == {str(wanted)} or pid == s.master.pid
        assert "0" not in uids or pid == s.master.pid    # only master may become root again
    assert len(ids) > 2 and s.master.pid in ids


def is_open_to_others(path):
    """A process's note may go while we look."""
    with suppress(FileNotFoundError):
        return bool(path.stat().st_mode & 0o077)
    return False


def test_what_the_services_write_is_closed_to_others(server):
    s = server(imapd={"sync_log": True, "sync_log_channels": '"" west', "expunge_mode": "immediate"})
    s.make_user("alice", "bob")
    with s.lmtp() as c:
        c.lhlo()
        c.deliver("a@b.test", ["alice"], MESSAGE)
    with s.imap("alice") as c:
        c.ok("CREATE", "x")
        c.append("x", MESSAGE, ["\\Seen", "keyword"])
        c.select("INBOX")
        c.ok("COPY", "1", "x")
        c.store("1", "+FLAGS", "\\Deleted")
        c.ok("EXPUNGE")
        c.ok("DELETE", "x")
    with s.csync() as c:
        c.ok(b"APPLY UNUSER bob")
    made = [path for top in ("conf", "spool") for path in (s.root / top).rglob("*")]
    assert len(made) > 40 and [path for path in made if is_open_to_others(path)] == []


# ---- metad -------------------------------------------------------------------------------------------------------------------

def metad_of(s):
    [pid] = [pid for pid, line in places.processes_of(s.root).items() if line.startswith("metad")]
    return pid


def test_how_much_of_its_tables_metad_keeps(make):
    """In KiB, after 24 MiB of rows were written and read."""
    resident = {}
    for size in ("1M", "64M"):
        s = make(metad_cache_size=size)
        with MetaConn(s.root / "conf/socket/metad") as meta:
            for n in range(48):
                meta.put("vacation", b"%d" % n, bytes([n]) * (1 << 19))
            assert all(meta.get("vacation", b"%d" % n).payload == bytes([n]) * (1 << 19) for n in range(48))
        resident[size] = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{metad_of(s)}/status").read_text())[1])
        s.stop()
    assert resident["64M"] - resident["1M"] > 16 << 10, resident


def test_a_change_that_is_too_large_for_metad(make):
    for most, taken in (("8M", False), ("16M", True)):
        s = make(metad_max_request=most)
        with MetaConn(s.root / "conf/socket/metad") as meta:
            big = [item(PUT, "vacation", b"%d" % n, bytes(1 << 19)) for n in range(18)]
            try:
                meta.commit(*big)
                assert taken
            except (MetaError, ConnectionError):
                assert not taken
        with MetaConn(s.root / "conf/socket/metad") as meta:
            assert (meta.get("vacation", b"17") is not None) == taken


def test_a_metad_that_does_not_answer(make):
    s = make(metad_timeout="2s")
    with s.imap("alice") as c:
        metad = metad_of(s)
        os.kill(metad, signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert c.command("CREATE", "x").status == "NO"
            assert 1.5 < time.monotonic() - began < 8
        finally:
            os.kill(metad, signal.SIGCONT)
        wait_until(lambda: c.command("CREATE", "y").status == "OK", 10, "metad again")


@pytest.mark.parametrize("rows,asks", [("16", True), ("100000", False)])
def test_how_many_rows_of_metad_a_process_remembers(make, rows, asks):
    s = make(metad_client_rows=rows)
    with s.imap("alice") as c, MetaConn(s.root / "conf/socket/metad") as meta:
        for n in range(150):
            c.ok("CREATE", f"box{n}")

        def gets():
            before = int(meta.stat()["gets"])
            for n in range(150):
                c.ok("STATUS", f"box{n}", "(MESSAGES)")
            return int(meta.stat()["gets"]) - before

        time.sleep(1.1)    # the file of generations is looked for once a second
        gets()
        assert (gets() > 100) == asks
