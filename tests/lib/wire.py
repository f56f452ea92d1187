"""A connection as the test clients need it: lines and exact counts of bytes, a deadline on everything.

Lines must end in CRLF; a bare LF or CR is a fault of the server and raises WireError. What went over the
wire last is kept, and shown when something goes wrong."""
import collections
import socket
import ssl
import time
import zlib

from lib.zstd import Packer, Unpacker

MOST_LINE = 64 << 20    # APPLY MAILBOX is one line


class WireError(Exception):
    """The server broke the rules of the protocol."""


class Closed(WireError):
    """The server closed the connection."""


class Wire:
    def __init__(self, address, timeout=30, tls=False):
        """address: (host, port), or the path of a Unix socket. timeout: seconds for each operation."""
        self.timeout = timeout
        self.history = collections.deque(maxlen=40)
        self._buffer = bytearray()
        self._unpack = self._pack = None
        self._note("=", f"connect {address}")
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.starttls()

    # ---- what the protocols are written with ----------------------------------------------------

    def send(self, data):
        self._note(">", data)
        if self._pack:
            data = self._pack(data)
        self.socket.settimeout(self.timeout)
        self.socket.sendall(data)

    def line(self, timeout=None):
        """The next line, without its CRLF. Raises Closed at the end, TimeoutError when it takes too long."""
        end = self._deadline(timeout)
        searched = 0
        while True:
            at = self._buffer.find(b"\n", searched)
            if at >= 0:
                break
            searched = len(self._buffer)
            if searched > MOST_LINE:
                self.fail("a line without end")
            self._fill(end)
        line = bytes(self._buffer[:at + 1])
        del self._buffer[:at + 1]
        self._note("<", line)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            self.fail(f"a line that does not end in CRLF: {line[:200]!r}")
        return line[:-2]

    def exact(self, count, timeout=None):
        end = self._deadline(timeout)
        while len(self._buffer) < count:
            self._fill(end)
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._note("<", data)
        return data

    def rest(self, timeout=None):
        """All that comes until the server closes."""
        end = self._deadline(timeout)
        try:
            while True:
                self._fill(end)
        except Closed:
            pass
        data = bytes(self._buffer)
        self._buffer.clear()
        self._note("<", data)
        return data

    def expect_closed(self, timeout=None):
        left = self.rest(timeout)
        if left:
            self.fail(f"expected the end, got {left[:200]!r}")

    def silent(self, seconds):
        """True if nothing comes for so long."""
        try:
            if not self._buffer:
                self._fill(time.monotonic() + seconds)
        except TimeoutError:
            return True
        return False

    def starttls(self, context=None):
        if self._buffer:
            self.fail(f"bytes before TLS began: {bytes(self._buffer[:80])!r}")
        if context is None:    # the certificates of tests are their own authority
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self.socket.settimeout(self.timeout)
        self.socket = context.wrap_socket(self.socket)
        self._note("=", "TLS " + str(self.socket.version()))

    def compress(self, algorithm="DEFLATE"):
        """From here on both directions are compressed: raw deflate (RFC 4978, and csync's COMPRESS) or ZSTD."""
        if algorithm == "ZSTD":
            self._pack, self._unpack = Packer().pack, Unpacker().unpack
        else:
            deflate = zlib.compressobj(wbits=-15)
            self._pack = lambda data: deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)
            self._unpack = zlib.decompressobj(-15).decompress
        if self._buffer:
            self._buffer[:] = self._unpack(bytes(self._buffer))
        self._note("=", algorithm)

    def close(self):
        self.socket.close()

    def fail(self, what):
        raise WireError(f"{what}\n{self.transcript()}")

    def transcript(self):
        return "last on the wire:\n" + "\n".join(self.history)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- inside ---------------------------------------------------------------------------------

    def _deadline(self, timeout):
        return time.monotonic() + (self.timeout if timeout is None else timeout)

    def _fill(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server is silent\n" + self.transcript())
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(1 << 18)
        except (TimeoutError, ssl.SSLWantReadError):
            raise TimeoutError("the server is silent\n" + self.transcript()) from None
        except ConnectionError as error:
            raise Closed(f"{error}\n{self.transcript()}") from None
        if not data:
            raise Closed("the server closed the connection\n" + self.transcript())
        self._buffer += self._unpack(data) if self._unpack else data

    def _note(self, mark, data):
        text = data if isinstance(data, str) else data[:300].decode("utf-8", "backslashreplace").rstrip("\r\n")
        self.history.append(f"  {mark} {text}" + (f" ... ({len(data)} bytes)" if len(data) > 300 else ""))
