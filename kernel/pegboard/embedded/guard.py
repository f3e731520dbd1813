"""Runs one command and sees to it that the command doesn't outlive the process that asked for it.

A script of its own, started as `python -I -S guard.py …`; it imports nothing of Pegboard's, so that it is up in a few
milliseconds.

The caller holds the write end of a pipe, the lifeline. While it is open, a byte is an order: `S` stop (the stop signal
now, SIGKILL after the grace), `K` kill now. When the caller ends, however it ends, the lifeline closes, and that means
stop too. Only this works for all: a parent-death signal is lost when the command changes its user, doesn't reach
grandchildren and exists on Linux only. It is set all the same, after the change of user, for the day that the guard
itself is killed.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal or a service manager sends to everything at once: the caller decides the order in which things
stop.
"""


def become(command: list[str], stop_signal: int, uid: int, gid: int, guard: int) -> None:
    """In the new process: a session and user of its own, then the command."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (*IGNORED, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    if gid >= 0:
        os.setgroups([])
        os.setgid(gid)
    if uid >= 0:
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, stop_signal)
        if os.getppid() != guard:
            os._exit(1)
    os.execvp(command[0], command)  # noqa: S606  # the command is the caller's


def watch(child: int, lifeline: int, wakeup: int, stop_signal: int, grace: float) -> int:
    """Follow orders until the child has ended; gives its wait status. Until it is reaped its id can't be another's."""
    deadline: float | None = None
    watched = [wakeup, lifeline]
    while True:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select(watched, [], [], timeout)
        if lifeline in readable:
            orders = os.read(lifeline, 64)
            if not orders:
                watched.remove(lifeline)
            if deadline is None and (not orders or b"S" in orders):
                os.kill(child, stop_signal)
                deadline = time.monotonic() + grace
            if b"K" in orders:
                deadline = 0.0
        if wakeup in readable:
            os.read(wakeup, 64)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if deadline is not None and time.monotonic() >= deadline:
            os.killpg(child, signal.SIGKILL)
            deadline = time.monotonic() + 1.0


def main(arguments: list[str]) -> int:
    """`lifeline status lock stop_signal grace uid gid command…`: file descriptors and numbers; -1 where there is
    none.
    """
    lifeline, status, lock, stop_signal = (int(argument) for argument in arguments[:4])
    grace = float(arguments[4])
    uid, gid = int(arguments[5]), int(arguments[6])
    command = arguments[7:]
    for descriptor in (lifeline, status, lock):
        if descriptor >= 0:
            os.set_inheritable(descriptor, False)

    wakeup, wakeup_write = os.pipe()
    os.set_blocking(wakeup_write, False)
    signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)

    guard = os.getpid()
    running, running_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            become(command, stop_signal, uid, gid, guard)
        except OSError as error:
            os.write(2, f"can't run {command[0]}: {error.strerror}\n".encode())
        os._exit(127)

    # End of file: the command has replaced the copy of us, which would have ignored a signal.
    os.close(running_write)
    os.read(running, 1)
    os.write(status, b"%d\n" % child)
    result = watch(child, lifeline, wakeup, stop_signal, grace)
    with contextlib.suppress(ProcessLookupError, PermissionError):  # there is nothing, or nothing but zombies (macOS)
        os.killpg(child, signal.SIGKILL)  # what the command started and left behind
    return os.WEXITSTATUS(result) if os.WIFEXITED(result) else 128 + os.WTERMSIG(result)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
