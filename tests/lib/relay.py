"""A line between two servers that can be cut, by whoever digs in the road.

    line = Relay(("127.0.0.1", port))      # connect to line.port instead
    line.cut()                             # what is open breaks off, and nobody gets through
    line.mend()"""
import socket
import threading
from contextlib import suppress


class Relay:
    def __init__(self, to):
        self.to, self.is_cut, self.ends = to, False, []
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


def _pump(a, b):
    with suppress(OSError):
        while data := a.recv(65536):
            b.sendall(data)
    for end in (a, b):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
