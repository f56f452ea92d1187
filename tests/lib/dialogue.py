"""Two servers are told the same, line by line, and what they say is compared but for what a test takes out on both sides."""
import re

from lib.wire import Wire


class Talker:
    """normal: (pattern, what it becomes) of each line; left_out: a pattern of lines that are passed over."""

    def __init__(self, port, normal, left_out):
        self.wire = Wire(("127.0.0.1", port), 30)
        self.normal, self.left_out = normal, left_out
        self.greeting = self.line()

    def line(self):
        line = self.wire.line().decode("utf-8", "backslashreplace")
        for pattern, by in self.normal:
            line = re.sub(pattern, by, line)
        return line

    def say(self, command):
        """The lines of the answer. Each command has the tag "a"; literals are in it, not waited for."""
        self.wire.send(f"a {command}\r\n".encode())
        lines = []
        while not lines or not lines[-1].startswith(("a ", "+ ")):
            lines.append(self.line())
        return self.in_order(command, [line for line in lines if not self.left_out.match(line)])

    @staticmethod
    def in_order(command, lines):
        """Where among shared names DELETED stands depends on which user's it is, in a Cyrus."""
        return sorted(lines) if command.startswith("LIST") and any("DELETED" in line for line in lines) else lines


def commands(text):
    return [line for line in text.splitlines() if line]
