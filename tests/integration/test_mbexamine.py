"""mbexamine: what a mailbox's index and cache say, and its files beside them. tests/compat/test_mbexamine_peers.py has it beside Cyrus's."""
import re

import pytest

from lib.bench import Bench

MESSAGE = "From: Ann <ann@b.test>\r\nTo: bob@b.test\r\nSubject: number {}\r\nDate: Mon, 1 Jan 2024 10:00:00 +0200\r\n\r\nx\r\n"


@pytest.fixture
def bench(root):
    bench = Bench(root)
    bench.do("create user.bob bob lrs", "create user.bob.Sent", "create user.amy")
    for i in range(1, 4):
        bench.do(f"append user.bob {bench.message(MESSAGE.format(i))} \\Seen k{i}")
    return bench


def test_every_field_of_the_index(bench):
    box = bench.show("user.bob")
    text = bench.ok("mbexamine", "user/bob")
    for line in (f"  Path to mailbox: {bench.directory('user.bob')}", "  Mailbox ACL: bob\tlrs\t", f"  Unique ID: {box.counters['uniqueid']}",
                 "  User Flags: k1 k2 k3 ", "  Minor Version: 1", "  Header Size: 4096 bytes  Record Size: 192 bytes",
                 f"  Number of Messages: 3  Mailbox Size: {box.counters['bytes_live']} bytes  Annotations Size: 0 bytes",
                 f"  UIDValidity: {box.counters['uidvalidity']}  Last UID: 3", f"  Highest Mod Sequence: {box.counters['highestmodseq']}"):
        assert line in text.splitlines(), line
    for uid, r in box.records.items():
        record = re.search(rf"^{uid:06}> UID:{uid:08} .*?\n(?=000|\Z)", text, re.M | re.S).group()
        for field in (f"INT_DATE:{r['internaldate_ns'] // 10 ** 9} ", f"SENTDATE:{r['sentdate']} ", f"SAVEDATE:{r['savedate']} ",
                      f"SIZE:{r['size']} ", f"HDRSIZE:{r['header_size']} ", f"GUID:{r['guid']} ", f"MODSEQ:{r['modseq']} ", "CACHEVER:1 ",
                      f"USERFLAGS: 00000000 00000000 00000000 0000000{1 << uid - 1}\n", "SYSTEMFLAGS: FLAG_SEEN\n", f'"number {uid}"\n'):
            assert field in record, (uid, field)


def test_what_changed_since_the_last_compaction_is_there_too(bench):
    bench.do("compact user.bob", "flags user.bob 2 \\Flagged", "expunge user.bob 3")
    text = bench.ok("mbexamine", "user/bob")
    assert "  Number of Messages: 2 " in text and "UID:00000003" not in text and "FLAG_FLAGGED" in text
    assert re.search(r"Generation Number: [2-9]", text)
    assert bench.ok("mbexamine", "-q", "user/bob") == "Examining user/bob...  Mailbox has CORRECT total quota usage\n"


def test_a_message_that_is_not_cached_has_its_record_only(bench):
    for path in bench.directory("user.bob").glob("mbox.cache.*"):
        path.write_bytes(path.read_bytes()[:64])
    text = bench.ok("mbexamine", "-u", "2", "user/bob")
    assert "UID:00000002" in text and "Envel>" not in text
    bench.ok("mbexamine", "-c", "user/bob")


def test_a_damaged_record_is_told_of(bench):
    bench.do("compact user.bob")
    index = bench.directory("user.bob") / "mbox.idx"
    data = bytearray(index.read_bytes())
    data[-100] ^= 1    # in the last record, behind which nothing follows
    index.write_bytes(data)
    done = bench.tool("mbexamine", "user/bob")
    assert done.returncode == 65 and "a record's checksum is wrong" in done.stderr and "UID:00000001" in done.stdout


def test_a_mailbox_that_cannot_be_read_does_not_stop_the_others(bench):
    (bench.directory("user.bob") / "mbox.idx").unlink()
    done = bench.tool("mbexamine", "-q")
    assert done.returncode == 74 and "user/bob" in done.stderr
    assert re.findall(r"Examining (\S+)\.\.\.", done.stdout) == ["user/amy", "user/bob/Sent"]


def test_nothing_is_written(bench):
    files = {p: p.read_bytes() for p in bench.directory("user.bob").iterdir()}
    bench.log_lines()
    for args in ((), ("-c",), ("-q",), ("-u", "1")):
        bench.ok("mbexamine", *args, "user/bob")
    assert files == {p: p.read_bytes() for p in bench.directory("user.bob").iterdir()} and bench.log_lines() == []


def test_names_in_utf8(bench):
    bench.do("create user.bob.&AOQ-")
    for name in ("user/bob/\u00e4", "user/bob/&AOQ-", "user/bob/\u00e4*"):
        assert bench.ok("mbexamine", "-q", name).startswith("Examining user/bob/&AOQ-...")


def test_numbers_are_numbers(bench):
    for option in ("-s", "-u"):
        for number in ("0", "x", "-1", "1x", "4294967296", ""):
            assert bench.tool("mbexamine", option, number, "user/bob").returncode == 64, number
