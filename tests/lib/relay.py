"""A line between two servers that can be cut, by whoever digs in the road.

    line = Relay(("127.0.0.1", port))      # connect to line.port instead
    line.cut()                             # what is open breaks off, and nobody gets through
    line.mend()
    Relay(("127.0.0.1", port), 0.02)       # a long line: every octet arrives so many seconds later"""
import queue
import socket
import threading
import time
from contextlib import suppress


class Relay:
    def __init__(self, to, delay=0):
        self.to, self.delay, self.is_cut, self.ends = to, delay, False, []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with suppress(OSError):    # close() ends it
            while True:
                near, _ = self.listener.accept()
                with self.lock:
                    if self.is_cut:
                        near.close()
                        continue
                    try:
                        far = socket.create_connection(self.to, timeout=10)
                    except OSError:
                        near.close()
                        continue
                    far.settimeout(None)
                    self.ends += [near, far]
                for a, b in ((near, far), (far, near)):
                    if self.delay:
                        a, b = _Late(a, self.delay), b
                    threading.Thread(target=_pump, args=(a, b), daemon=True).start()

    def cut(self):
        with self.lock:
            self.is_cut = True
            for end in self.ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self.ends = []

    def mend(self):
        self.is_cut = False

    def close(self):
        self.cut()
        self.listener.close()


class _Late:
    """The reading end of a socket from which everything comes later; how much is on its way has no limit."""

    def __init__(self, end, delay):
        self.end, self.delay, self.pieces = end, delay, queue.SimpleQueue()
        self.shutdown = end.shutdown
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        data = b"-"
        while data:
            try:
                data = self.end.recv(1 << 20)
            except OSError:
                data = b""
            self.pieces.put((time.monotonic() + self.delay, data))

    def recv(self, _):
        due, data = self.pieces.get()
        time.sleep(max(0, due - time.monotonic()))
        return data


def _pump(a, b):
    with suppress(OSError):
        while data := a.recv(65536):
            b.sendall(data)
    for end in (a, b):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
