"""A private network for one run: ``python -m lab.netns COMMAND ...`` runs a command in it.

The command gets its own network, mount and process namespaces, and ``TMPDIR``, a folder that is
removed at the end. The kernel takes everything else away with the last process: its interfaces,
its packet filter, its children. So nothing is left, however the run ends: the command is killed
with its parent, and its children with it. Root makes the namespaces itself; others get them
inside a user namespace, where the kernel allows that.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

MARK = "ACTR_PRIVATE_NETWORK"
"""Environment variable: which network namespace is the private one."""
STOP_SECONDS = 8
CANNOT = 2
"""Exit status where the kernel or the rights do not allow a private network."""

NEW_MOUNTS, NEW_USER, NEW_PIDS, NEW_NETWORK = 0x20000, 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def is_private() -> bool:
    """Whether this process runs in a network that :func:`run` made."""
    return os.environ.get(MARK) == _network()


def enter() -> None:
    """Go on in a private network: unless this is one, run this program again in one, and exit."""
    if not is_private():
        sys.exit(run([sys.executable, *sys.orig_argv[1:]]))


def run(command: Sequence[str]) -> int:
    """Run ``command`` in a private network; return its exit status."""
    if sys.platform != "linux":
        return _refuse("network namespaces are Linux's")
    missing = [tool for tool in ("ip", "iptables", "mount") if _find(tool) is None]
    if missing:
        return _refuse(f"{' and '.join(missing)} not found: install iproute2 and iptables")
    uid, gid = os.getuid(), os.getgid()
    flags = NEW_MOUNTS | NEW_PIDS | NEW_NETWORK
    if _libc.unshare(flags) != 0 and _libc.unshare(flags | NEW_USER) != 0:
        reason = os.strerror(ctypes.get_errno())
        return _refuse(f"the kernel gives no private network ({reason}): run it as root")
    if uid != 0 or os.getuid() != 0:
        _map_root(uid, gid)
    scratch = tempfile.mkdtemp(prefix="actr-net-")
    try:
        return _wait(_fork(command, scratch))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _find(tool: str) -> str | None:
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _refuse(reason: str) -> int:
    sys.stderr.write(f"cannot cut wires here: {reason}\n")
    return CANNOT


def _network() -> str:
    return str(os.stat("/proc/self/ns/net").st_ino)


def _map_root(uid: int, gid: int) -> None:
    """Be root inside the new user namespace."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _fork(command: Sequence[str], scratch: str) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job ignores it
        os.setpgid(0, 0)
        # The parent's pid is not visible from inside, only whether there still is one to see.
        if os.getppid() not in (0, parent):
            os._exit(1)
        _exec(command, scratch)
    return pid


def _exec(command: Sequence[str], scratch: str) -> NoReturn:
    """Set the namespaces up and become the command; the first process of its namespace."""
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        # `ip netns` keeps names in /run, and iptables its lock: both private to this run.
        for setup in (
            ["mount", "--make-rprivate", "/"],
            ["mount", "-t", "tmpfs", "none", "/run"],
            ["ip", "link", "set", "lo", "up"],
        ):
            subprocess.run(setup, check=True, stdin=subprocess.DEVNULL)  # noqa: S603
    except subprocess.CalledProcessError as exc:
        os._exit(_refuse(str(exc)))
    os.environ[MARK] = _network()
    os.environ["TMPDIR"] = scratch
    try:
        os.execvp(command[0], list(command))  # noqa: S606
    except OSError as exc:
        sys.stderr.write(f"{command[0]}: {exc}\n")
        os._exit(127)


def _wait(pid: int) -> int:
    """Wait for the child; pass on what would end this process, and make sure that it does."""

    def stop(number: int, frame: FrameType | None) -> None:
        # The first process of a namespace hears only signals that it handles: Python handles
        # SIGINT. In a group of its own, it hears Ctrl-C from here only, and once.
        os.kill(pid, signal.SIGINT)
        signal.alarm(STOP_SECONDS)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    signal.signal(signal.SIGALRM, lambda number, frame: os.kill(pid, signal.SIGKILL))
    _, status = os.waitpid(pid, 0)
    signal.alarm(0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m lab.netns COMMAND ...")
    sys.exit(run(sys.argv[1:]))
