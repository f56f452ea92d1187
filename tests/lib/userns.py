"""A user namespace of one's own for a server under test: limits that the system counts for each user, inotify's among them, are
then its own, and nobody else on the machine notices.

    subprocess.Popen(command, preexec_fn=userns.enter({"max_inotify_instances": 4}))

Needs root. The ids are the same within, so files and services' users are as ever."""
import ctypes
import os
from pathlib import Path

CLONE_NEWUSER = 0x10000000
LIMITS = Path("/proc/sys/user")


def enter(limits):
    """What a new process is to call before it executes its program."""
    def call():
        libc = ctypes.CDLL(None, use_errno=True)
        ready = os.pipe()
        pid = os.getpid()
        helper = os.fork()    # stays outside: only from there all ids can be mapped
        if helper == 0:
            os.read(ready[0], 1)
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{pid}/{name}").write_text("0 0 65536\n")
            os._exit(0)
        if libc.unshare(CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        os.write(ready[1], b"x")
        status = os.waitpid(helper, 0)[1]
        for end in ready:
            os.close(end)
        assert status == 0
        for name, value in limits.items():
            (LIMITS / name).write_text(str(value))
    return call
