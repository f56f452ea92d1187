"""sync_client by hand between two masters of ours: every mode, every kind of object; a second run sends nothing."""
import base64
import os
import shutil
import socket
import subprocess
import threading

import pytest

from lib import places
from lib.site import Site, bob, differences, follows, steps_of_a_user


@pytest.fixture
def pair(roots):
    made = []

    def make(replica=None, **more):
        b = Site(roots(), "b", **(replica or {}))
        a = Site(roots(), "a", to=b, **more)
        for site in (b, a):
            site.__enter__()
            made.append(site)
            site.start()
        return a, b
    yield make
    for site in reversed(made):
        site.__exit__(None)


def test_a_user_comes_over_and_a_second_run_says_only_his_name(pair):
    a, b = pair()
    bob(a)
    follows(a, b, ["USER bob", "MAILBOX user.bob", "MAILBOX user.bob.Sent"])


def test_every_change_of_a_user_follows(pair):
    a, b = pair()
    bob(a)
    a.do("create shared")
    uniqueid = a.do("show shared")[0].split("uniqueid=")[1].split()[0]
    follows(a, b, ["USER bob", "MAILBOX user.bob", "MAILBOX user.bob.Sent"])
    to_p2 = (["rename user.bob.Sent user.bob.Sent p2"], ["RENAME user.bob.Sent -> user.bob.Sent (p2)", "MAILBOX user.bob.Sent"])
    for changes, said in [*steps_of_a_user(uniqueid), to_p2]:
        a.do(*changes)
        follows(a, b, ["USER bob", *said])


def test_delayed_deletes_and_their_end_follow(pair):
    a, b = pair()
    bob(a)
    a.said("-u", "bob")
    a.do("delete user.bob.Sent")
    said = a.said("-u", "bob")
    deleted = said[1].split(" -> ")[1].split(" ")[0]
    assert deleted.startswith("DELETED.user.bob.Sent.")
    assert differences(a, b, ["bob"]) == []
    a.do(f"remove {deleted}")
    follows(a, b, ["USER bob", f"UNMAILBOX {deleted}"])


def test_mailboxes_are_named_as_an_administrator_names_them(pair):
    a, b = pair(imapd={"unixhierarchysep": True})
    bob(a)
    a.do("create user.first^last", "create user.first^last.x^y", "create shared.pub")
    follows(a, b, ["MAILBOX user.first^last.x^y", "MAILBOX shared.pub"], users=(), shared=["shared.pub"],
            mode=("-m", "user/first.last/x.y", "shared/pub"))
    done = a.sync("-m", "user/nobody", "user/bob/Sent", check=False)
    assert done.returncode == 1 and "user/nobody" in done.stderr and "MAILBOX user.bob.Sent" in done.stdout


def test_meta_mode_leaves_mailboxes_alone(pair):
    a, b = pair()
    bob(a)
    a.do("subscribe bob user.bob")
    assert a.said("-s", "bob") == ["META bob", "SUB bob user.bob"]
    assert a.said("-s", "bob") == ["META bob"]
    with b.csync() as c:
        assert c.get("META", "bob").all("LSUB") == [["user.bob"]]
        assert c.mailboxes("user.bob") == []


def test_everything_comes_over_with_removals(pair):
    a, b = pair()
    bob(a)
    a.do("create user.ann", "create shared", "create shared.sub", "quota shared STORAGE 5", "serverannotation /motd - hi",
         "subscribe ann shared")
    a.append("shared", "s\r\n")
    a.sync("-A")
    assert differences(a, b, ["ann", "bob"], ["shared", "shared.sub"]) == []
    a.do("removeuser ann", "remove shared.sub", "unquota shared", "serverannotation /motd - -")
    a.sync("-A")
    assert differences(a, b, ["bob"], ["shared"]) == []
    with b.csync() as c:
        assert c.mailboxes("shared.sub", "user.ann") == [] and c.get("META", "ann").items == []
        assert c.get("QUOTA", "shared").items == []
    assert a.said("-A") == ["USER bob", "UNQUOTA shared"]    # a root's removal is told without looking


def others(a, n):
    a.do(*(f"create user.u{i:03} u{i:03} lrswipkxtecdan" for i in range(n)), "subscribe u000 user.u000")
    return [f"u{i:03}" for i in range(n)]


def test_users_who_are_equal_are_not_asked_for(pair):
    a, b = pair()
    everybody = others(a, 100)
    a.sync("-A")
    assert differences(a, b, everybody) == []
    b.begin_telemetry()

    def asked():
        said = b.telemetry()
        return said.count(b"GET DIGESTS"), said.count(b"GET USER"), said.count(b"RESTART")
    before = asked()
    assert a.said("-A") == []
    assert [now - then for now, then in zip(asked(), before)] == [1, 0, 0]
    before = asked()
    a.append("user.u042", "Subject: new\r\n\r\n")
    b.do("create user.only.there")    # between two of ours: he makes a range differ, and is nobody of whom we know
    b.do("create user.u0420")
    assert a.said("-A") == ["USER u042", "MAILBOX user.u042"]
    assert [now - then for now, then in zip(asked(), before)] == [2, 1, 1]
    assert differences(a, b, everybody) == []


def test_whatever_differs_of_a_user_is_found_among_others(pair):
    a, b = pair()
    bob(a)
    others(a, 5)
    a.do("create shared")
    uniqueid = a.do("show shared")[0].split("uniqueid=")[1].split()[0]
    a.sync("-A")
    assert a.said("-A") == []
    for changes, said in steps_of_a_user(uniqueid):
        a.do(*changes)
        assert a.said("-A") == ["USER bob", *said], changes
        assert differences(a, b, ["bob"], ["shared"]) == []
        assert a.said("-A") == [], changes


def scripts_and_more(a):
    """What steps_of_a_user() has not: a script is a message of a mailbox of its own; the end of what there was; a root above."""
    script = a.message("Subject: filter\r\n\r\nkeep;\r\n", "script")
    return [
        (["create user.bob.#sieve bob lrswipkxtecdan"], ["MAILBOX user.bob.#sieve"]),
        ([f"append user.bob.#sieve {script} \\Flagged"], ["MAILBOX user.bob.#sieve"]),
        (["mailboxannotation user.bob.Sent /comment - -"], ["MAILBOX user.bob.Sent"]),
        (["unsubscribe bob user.bob.Sent"], ["UNSUB bob user.bob.Sent"]),
        (["quota user STORAGE 9000"], ["QUOTA user"]),
        (["rename user.bob.Sent user.bob.Sent p2"], ["RENAME user.bob.Sent -> user.bob.Sent (p2)", "MAILBOX user.bob.Sent"]),
    ]


def users_said(a):
    """By a run that compares everything: the users who were not equal. (A root of a quota above users is told each time.)"""
    return [line for line in a.said("-A") if line.startswith("USER ")]


def test_scripts_and_the_end_of_things_are_found_among_others(pair):
    a, b = pair()
    bob(a)
    others(a, 40)    # so many that annotations are read by the table
    a.do("subscribe bob user.bob.Sent", "mailboxannotation user.bob.Sent /comment - hello")
    a.sync("-A")
    for changes, said in scripts_and_more(a):
        a.do(*changes)
        assert {"USER bob", *said} <= set(a.said("-A")), changes
        assert differences(a, b, ["bob", "u000"]) == []
        assert users_said(a) == [], changes


@pytest.mark.limit(300)
def test_what_was_changed_before_the_machine_fell_over_is_found(pair):
    """A change that was acknowledged is in what the headers say, however its writer and metad ended, and whoever recovers."""
    a, b = pair()
    bob(a)
    others(a, 40)
    a.do("create shared")
    uniqueid = a.do("show shared")[0].split("uniqueid=")[1].split()[0]
    a.sync("-A")
    for number, (changes, said) in enumerate([*steps_of_a_user(uniqueid), *scripts_and_more(a)]):
        if number % 3 == 2:
            b.kill()
            b.start()
        a.do(*changes)
        a.kill()
        if number % 2:    # the words of the journals mean nothing after a boot: the look at a header is not enough then
            a.environment["US_BOOT_ID"] = f"boot-{number:03}"
        a.start()
        assert {"USER bob", *said} <= set(a.said("-A", timeout=120)), changes
        assert differences(a, b, ["bob", "u000"], ["shared"]) == []
        assert users_said(a) == [], changes


def test_what_was_changed_on_the_replica_is_found_among_others(pair):
    a, b = pair()
    bob(a)
    others(a, 5)
    a.sync("-A")
    for change in ("flags user.bob 1 \\Deleted", "acl user.bob anyone l", "subscribe bob user.bob.Sent"):
        b.do(change)
        assert a.said("-A")[0] == "USER bob" and differences(a, b, ["bob"]) == []
        assert a.said("-A") == [], change


def test_a_prefix_brings_some_users(pair):
    a, b = pair()
    bob(a)
    a.do("create user.ann", "create user.anna", "create shared")
    assert a.said("-A", "ann") == ["USER ann", "MAILBOX user.ann", "USER anna", "MAILBOX user.anna"]


def test_another_partition_can_be_wanted(pair):
    a, b = pair()
    bob(a)
    a.said("-u", "-p", "p2", "bob")
    with b.csync() as c:
        assert {m["PARTITION"] for m in c.mailboxes("user.bob", "user.bob.Sent")} == {"p2"}
    assert a.said("-u", "-p", "p2", "bob") == ["USER bob"]


def test_actions_are_logged_and_local_forms_used(pair):
    a, b = pair()
    bob(a)
    a.sync("-u", "-L", "-l", "bob")
    a.do("rename user.bob.Sent user.bob.S", "create user.bob.X")
    a.sync("-u", "bob")
    a.do("remove user.bob.X", "rename user.bob.S user.bob.T")
    done = a.sync("-v", "-u", "-L", "-l", "bob")
    for word in ("LOCAL_RENAME", "LOCAL_UNMAILBOX"):
        assert f"APPLY {word}" in done.stderr
    assert differences(a, b, ["bob"]) == []
    assert a.count('event=sync.action action="RENAME user.bob.S -> user.bob.T (default)"') == 1


def test_names_come_from_a_file(pair):
    a, b = pair()
    bob(a)
    a.do("create user.ann")
    names = a.root / "names"
    names.write_text("# users\nann\r\n\n  bob\n")
    names.chmod(0o644)
    assert [line for line in a.said("-u", "-f", names) if line.startswith("USER")] == ["USER ann", "USER bob"]
    assert differences(a, b, ["ann", "bob"]) == []


def test_exit_statuses_and_complaints(pair):
    a, b = pair()
    bob(a)

    def run(*args):
        return a.sync(*args, check=False)
    for bad in [(), ("-u",), ("-u", "-m", "x"), ("-A", "-r"), ("-R", "x"), ("-u", "-1", "x"), ("-Q",), ("-u", "-t", "x", "bob")]:
        done = run(*bad)
        assert done.returncode == 64 and "usage: sync_client" in done.stderr, bad
    done = run("-u", "nobody", "bob")    # the other one is brought over all the same
    assert done.returncode == 1 and "Does not exist locally nobody" in done.stderr and "MAILBOX user.bob" in done.stdout
    assert run("-s", "nobody").returncode == 1
    assert run("-u", "-o", "-S", f"127.0.0.1:{places.free_ports(1)[0]}", "bob").returncode == 1
    assert run("-u", "-n", "west", "bob").returncode == 0    # a channel without keys of its own has the common ones
    del a.options["sync_host"]
    a.write_conf()
    done = run("-u", "bob")
    assert done.returncode == 70 and "sync_host" in done.stderr
    a.options["west_sync_timeout"] = "soon"
    a.write_conf()
    done = run("-u", "-n", "west", "-S", f"127.0.0.1:{b.port}", "bob")
    assert done.returncode == 78 and "west_sync_timeout" in done.stderr


def test_a_wrong_password_is_final_by_hand(pair):
    a, b = pair()
    bob(a)
    a.options["sync_password"] = "wrong"
    a.write_conf()
    done = a.sync("-u", "bob", check=False)
    assert done.returncode == 1 and "does not let us in" in done.stderr
    a.options.update({"sync_password": "pw", "sync_authname": "joe"})
    places.make_users(b.root / "sasldb2", "b.test", {"joe": "pw"})
    places.own_by_service_user(b.root / "sasldb2")
    a.write_conf()
    done = a.sync("-u", "bob", check=False)
    assert done.returncode == 1 and "no administrator" in done.stderr


def test_over_tls_a_unix_socket_and_without_compression(pair):
    a, b = pair(replica={"tls": True})
    bob(a)
    a.options["tls_client_ca_file"] = b.root / "cert.pem"
    a.write_conf()
    for n, (server, args) in enumerate([(f"localhost:{b.port}/tls", ()), (str(b.socket), ()), (f"127.0.0.1:{b.port}", ("-z",))]):
        a.append("user.bob", f"Subject: {n}\r\n\r\n")
        assert "MAILBOX user.bob" in a.said("-u", "-S", server, *args, "bob")
        assert differences(a, b, ["bob"]) == []
    done = a.sync("-u", "-z", "-S", f"localhost:{b.port}/tls", "bob", check=False)    # not offered inside TLS
    assert done.returncode == 1


def test_who_we_are_and_whom_we_trust_in_tls(pair):
    a, b = pair(replica={"tls": True})
    bob(a)
    b.options.update({"tls_client_certs": "require", "tls_client_ca_file": b.root / "cert.pem"})
    b.write_conf()
    server, trusted = f"localhost:{b.port}/tls", a.root / "trusted"
    trusted.mkdir()
    a.options["tls_client_ca_dir"] = trusted
    a.write_conf()
    assert a.sync("-u", "-o", "-S", server, "bob", check=False).returncode == 1    # nobody we trust
    shutil.copy(b.root / "cert.pem", trusted / "peer.pem")
    subprocess.run(["openssl", "rehash", trusted], check=True)
    assert a.sync("-u", "-o", "-S", server, "bob", check=False).returncode == 1    # and we show nothing
    for option, theirs in (("tls_client_cert", "cert.pem"), ("tls_client_key", "key.pem")):
        a.options[option] = a.root / theirs
        shutil.copy(b.root / theirs, a.options[option])
        shutil.chown(a.options[option], places.daemon_user().pw_name)
    a.write_conf()
    assert "MAILBOX user.bob" in a.said("-u", "-o", "-S", server, "bob")


def test_the_mechanism_can_be_named(pair):
    a, b = pair(replica={"imapd": {"sasl_mech_list": "DIGEST-MD5 PLAIN"}})
    bob(a)
    a.options["sync_realm"] = "b.test"    # asked for only by a server with several
    for mechanism in ("DIGEST-MD5", "PLAIN"):
        a.options["force_sasl_client_mech"] = mechanism
        a.write_conf()
        a.sync("-u", "-o", "bob")
        b.wait_log(f" {mechanism} User logged in")


def flags(site, uid):
    [line] = [line for line in site.do("show user.bob") if line.startswith(f"record uid={uid} ")]
    return line.split("flags=")[1].split()[0]


def test_without_copying_back(pair):
    """-O: what the replica has is no news for us; what we changed last stands there."""
    a, b = pair()
    bob(a)
    follows(a, b, ["USER bob", "MAILBOX user.bob", "MAILBOX user.bob.Sent"], mode=("-O", "-u", "bob"))
    b.do("flags user.bob 1 OnB")
    a.do("flags user.bob 1 OnA", "flags user.bob 1 OnA Again")
    before = a.do("show user.bob")
    follows(a, b, ["USER bob", "MAILBOX user.bob"], mode=("-O", "-u", "bob"))
    assert a.do("show user.bob") == before and flags(b, 1) == flags(a, 1) == "OnA,Again"


def test_without_copying_back_a_replica_that_went_its_own_way_is_told_of(pair):
    """Then the sums differ, as sync_client(8) warns; nothing of ours is touched, and without -O all is brought together."""
    a, b = pair()
    bob(a)
    a.sync("-u", "bob")
    b.append("user.bob", "Subject: three\r\n\r\nonly b\r\n")
    b.do("flags user.bob 1 OnB")
    a.do("flags user.bob 2 OnA")
    before = a.do("show user.bob")
    for _ in range(2):
        done = a.sync("-O", "-u", "bob", check=False)
        assert done.returncode == 1 and "user.bob: the replica says: IMAP_SYNC_CHECKSUM" in done.stderr
        assert a.do("show user.bob") == before
        assert any(line.startswith("record uid=3 ") for line in b.do("show user.bob"))
    a.sync("-u", "bob")
    assert differences(a, b, ["bob"]) == []
    assert [flags(a, uid) for uid in (1, 2)] == ["OnB", "OnA"] and any(line.startswith("record uid=3 ") for line in a.do("show user.bob"))


class TwoRealms(threading.Thread):
    """A csync server of two realms as far as DIGEST-MD5 goes: it keeps what the client answers, and turns him away."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answer = ""
        self.start()

    def run(self):
        challenge = b'realm="a.test",realm="b.test",nonce="bm9uY2U=",qop="auth",charset=utf-8,algorithm=md5-sess'
        connection, _ = self.listener.accept()
        with connection, self.listener, connection.makefile("rwb") as wire:
            wire.write(b"* SASL DIGEST-MD5\r\n* OK x Cyrus sync server x\r\n")
            wire.flush()
            assert wire.readline() == b"AUTHENTICATE DIGEST-MD5\r\n"
            wire.write(b"+ " + base64.b64encode(challenge) + b"\r\n")
            wire.flush()
            self.answer = base64.b64decode(wire.readline()).decode()
            wire.write(b"NO not you\r\n")


def test_the_realm_can_be_named(pair):
    a, _ = pair()
    bob(a)
    for realm in ("a.test", "b.test"):
        other = TwoRealms()
        a.options.update(sync_realm=realm, sync_port=other.port)
        a.write_conf()
        assert a.sync("-u", "-o", "bob", check=False).returncode != 0
        other.join(10)
        assert f'realm="{realm}"' in other.answer.split(",") and 'username="admin"' in other.answer


def test_its_log_is_the_service_users_from_the_start(pair):
    """Whoever writes the first line of it: the others must be able to write theirs, and nobody else to read."""
    a, _ = pair()
    bob(a)
    log = a.conf / "first"
    for umask, mode in ((None, 0o600), ("027", 0o640)):
        a.options.update({"logfile": log, **({"umask": umask} if umask else {})})
        a.write_conf()
        a.sync("-u", "bob")
        assert log.owner() == places.daemon_user().pw_name and log.stat().st_mode & 0o777 == mode
        log.unlink()


def imap_port(b):
    """Give a site an imapd; the port it listens on."""
    port, = places.free_ports(1)
    b.services["imap"] = f'cmd="imapd -C {b.imapd_conf}" listen="127.0.0.1:{port}"'
    b.reload()
    return port


def test_over_imap_everything_goes_as_well(pair):
    a, b = pair(replica={"programs": {"imapd": "imapd"}})
    bob(a)
    port = imap_port(b)
    a.options["sync_try_imap"] = True
    a.write_conf()
    done = a.sync("-v", "-u", "-S", f"127.0.0.1:{port}", "bob")
    assert "SYNCAPPLY MAILBOX" in done.stderr and "AUTHENTICATE" not in done.stderr
    assert differences(a, b, ["bob"]) == []
    assert a.said("-u", "-S", f"127.0.0.1:{port}", "bob") == ["USER bob"]
    b.append("user.bob", "theirs\r\n")
    a.append("user.bob", "ours\r\n")
    a.do("rename user.bob.Sent user.bob.S", "subscribe bob user.bob")
    a.sync("-u", "-S", f"127.0.0.1:{port}", "bob")
    assert differences(a, b, ["bob"]) == []
    # the same switch, and a port that turns out to be csync's
    a.append("user.bob", "more\r\n")
    assert "MAILBOX user.bob" in a.said("-u", "bob")
    assert differences(a, b, ["bob"]) == []


def test_over_imap_a_rolling_client_rolls(pair):
    a, b = pair(replica={"programs": {"imapd": "imapd"}})
    bob(a)
    a.options.update({"sync_try_imap": True, "sync_port": imap_port(b)})
    a.write_conf()
    with a.rolling():
        for n in range(10):
            a.append("user.bob", f"{n}\r\n")
        a.wait_synced()
        assert differences(a, b, ["bob"]) == []


def test_two_vs_show_the_wire_but_no_password(pair):
    a, b = pair()
    bob(a)
    done = a.sync("-v", "-u", "bob")
    assert "GET USER bob" in done.stderr and "APPLY MAILBOX" in done.stderr
    assert "AGFkbWluAHB3" not in done.stderr


def test_many_messages_go_in_bounded_steps(pair):
    a, b = pair(imapd={"sync_batchsize": 20})
    a.do("create user.bob")
    for n in range(95):
        a.append("user.bob", f"Subject: {n}\r\n\r\n{n}\r\n")
    done = a.sync("-v", "-u", "bob")
    assert done.stderr.count("APPLY MAILBOX") == 5
    assert differences(a, b, ["bob"]) == []


def test_a_locked_user_is_left_out_at_once_with_N(pair):
    a, b = pair()
    bob(a)
    lock = a.conf / "lock/sync" / "*S*127^0^0^1*bob"
    lock.parent.mkdir(parents=True, exist_ok=True)
    places.own_by_service_user(a.conf / "lock")
    holder = a.sync("-u", "bob")    # makes the lock file
    assert holder.returncode == 0 and lock.exists(), sorted(os.listdir(lock.parent))
    import fcntl
    with open(lock, "r+b") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        done = a.sync("-u", "-N", "bob", check=False, timeout=10)
        assert done.returncode == 1 and "lock" in done.stderr.lower()
    assert a.sync("-u", "-N", "bob").returncode == 0


def test_a_replica_that_was_written_to(pair):
    a, b = pair()
    bob(a)
    a.sync("-u", "bob")
    b.append("user.bob", "theirs\r\n")
    a.append("user.bob", "ours\r\n")
    b.do("flags user.bob 2 \\Answered")
    a.sync("-u", "bob")
    assert differences(a, b, ["bob"]) == []
    assert a.said("-u", "bob") == ["USER bob"]
    with b.csync() as c:
        live = [r for r in c.full_mailbox("user.bob")["RECORD"] if "\\Expunged" not in map(str, r["FLAGS"])]
    assert len(live) == 4


def test_a_name_born_on_both_sides_fails_alone(pair):
    a, b = pair()
    bob(a)
    b.do("create user.bob.Sent", "create user.bob.Theirs")
    b.append("user.bob.Sent", "theirs\r\n")
    done = a.sync("-u", "bob", check=False)
    assert done.returncode == 1 and "MAILBOX user.bob" in done.stdout
    with b.csync() as c:
        assert len(c.full_mailbox("user.bob")["RECORD"]) == 2
        assert len(c.full_mailbox("user.bob.Sent")["RECORD"]) == 1


def test_a_user_without_inbox_is_compared_by_what_he_has_left(pair):
    """He was deleted, which renamed his mailboxes; the replica missed that."""
    a, b = pair()
    a.do("create user.bob", "create user.bob.Sent")
    a.append("user.bob", "kept\r\n")
    a.sync("-u", "bob")
    a.do("rename user.bob.Sent DELETED.user.bob.Sent.5F000000", "rename user.bob DELETED.user.bob.5F000000")
    done = a.sync("-u", "bob", check=False)
    assert done.returncode == 1 and "Does not exist locally bob" in done.stderr
    assert differences(a, b, ["bob"]) == []
