"""The generated mail: the same on every run, and mail by Python's own reading."""
import email
import email.policy
import hashlib

import pytest

from lib import messages
from lib.lmtp import stuffed


def test_the_same_on_every_run():
    digest = hashlib.sha1(b"".join(messages.corpus(60))).hexdigest()
    assert digest == "aa9383a7914d198ed93d76c27a6699692f0a7950"


@pytest.mark.parametrize("kind", messages.KINDS + (messages.big,), ids=lambda k: k.__name__)
def test_well_formed(kind):
    data = kind(7)
    assert data.endswith(b"\r\n")
    assert not set(data.replace(b"\r\n", b"")) & set(b"\r\n\0")
    assert max(map(len, data.split(b"\r\n"))) < 998
    mail = email.message_from_bytes(data, policy=email.policy.SMTP)
    assert not mail.defects and not any(part.defects for part in mail.walk())
    assert mail["Message-ID"] == "<m7@messages.test>"
    assert kind(7) == data and kind(8) != data
    assert b"Message-ID" not in kind(7, message_id="").partition(b"\r\n\r\n")[0]
    assert b"\r\nMessage-ID: <x@y>\r\n" in kind(7, message_id="<x@y>")


def test_kinds():
    assert [email.message_from_bytes(k(1)).get_content_type() for k in messages.KINDS] == [
        "text/plain", "text/plain", "multipart/alternative", "multipart/mixed", "multipart/mixed"]
    assert len(messages.plain(1, size=5000)) > 5000 and len(messages.big(1)) > 1 << 20
    assert any(c > 127 for c in messages.eight_bit(1))
    parts = list(email.message_from_bytes(messages.attachment(3, 1000)).walk())
    assert len(parts[2].get_payload(decode=True)) == 1000


def test_files_are_loaded_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(messages, "FOLDER", tmp_path)
    (tmp_path / "odd").mkdir()
    for name in ("a.eml", "a.envelope", "b.eml"):
        (tmp_path / "odd" / name).write_bytes(name.encode() + b"\r\n")
    assert messages.files() == {"odd/a": b"a.eml\r\n", "odd/b": b"b.eml\r\n"}
    assert messages.files(".envelope") == {"odd/a": b"a.envelope\r\n"}


def test_dots_are_doubled_on_the_wire():
    assert stuffed(b".a\r\n.\r\nb.c\r\n..") == b"..a\r\n..\r\nb.c\r\n...\r\n.\r\n"
    assert stuffed(b"a\r\n") == b"a\r\n.\r\n"
