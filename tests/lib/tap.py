"""A way to a server's csync port that counts octets, keeps what the client says, and can end after so many of them.

    tap = Tap(server); a.options["sync_port"] = tap.port; a.write_conf()
    tap.octets(); tap.compressions(); tap.cut_after = len(tap.said) + 100"""
import socket
import threading
from contextlib import suppress

from lib.site import port_of


class Tap:
    def __init__(self, server, without=b""):
        """without: octets that are left out of what the server says."""
        self.server, self.without = server, without
        self.said, self.heard, self.cut_after = b"", 0, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", port_of(self.server)))
            for work in (self.up, self.down):
                threading.Thread(target=work, args=(client, server), daemon=True).start()

    def up(self, client, server):
        with suppress(OSError):    # a side that has gone
            while data := client.recv(65536):
                if self.cut_after is not None and len(self.said) + len(data) > self.cut_after:
                    server.sendall(data[:max(0, self.cut_after - len(self.said))])
                    self.cut_after = None
                    client.shutdown(socket.SHUT_RDWR)
                    break
                self.said += data
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)

    def down(self, client, server):
        with suppress(OSError):
            while data := server.recv(65536):
                self.heard += len(data)
                client.sendall(data.replace(self.without, b"") if self.without else data)

    def octets(self):
        return len(self.said) + self.heard

    def compressions(self):
        """Those the client asked for, while it still spoke in the clear."""
        return [line.split()[1].decode() for line in self.said.split(b"\r\n") if line.startswith(b"COMPRESS ")]
