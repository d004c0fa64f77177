"""Machines in small: namespaces of their own for processes, network and name, on one bridge of this machine's.

A machine's first process is ours and does nothing but reap; with it everything in the machine ends, its network too. It is
killed with us, so that nothing is left whatever becomes of the trial.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time

FIRST = """
import os, signal, socket, sys
socket.sethostname(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
while True:
    signal.sigwait({signal.SIGCHLD})
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""


def until(holds, within=30.0, what="it"):
    """What `holds` answers once that is something."""
    limit = time.monotonic() + within
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < limit, "not within %g s: %s" % (within, what)
        time.sleep(0.02)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(command), done.stderr.strip()))
    return done.stdout


def send(pids, number):
    """Whether anybody was there to get it."""
    sent = False
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            sent = True
    return sent


class Network:
    """`with Network() as network`: a bridge with the address `network.address`, and a number for each machine on it."""

    def __enter__(self):
        for number in range(1, 250):
            self.name, self.prefix = "ostler%d" % number, "10.213.%d." % number
            with contextlib.suppress(RuntimeError):
                run("ip", "link", "add", self.name, "type", "bridge")
                break
        else:
            raise RuntimeError("no bridge can be made: is this root, and has the kernel bridges?")
        self.address = self.prefix + "1"
        try:
            run("ip", "addr", "add", self.address + "/24", "dev", self.name)
            run("ip", "link", "set", self.name, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        run("ip", "link", "del", self.name)


class Machine:
    """`with Machine(network, 2, "web2") as machine`."""

    def __init__(self, network, number, name):
        self.network, self.name = network, name
        self.address = "%s%d" % (network.prefix, 10 + number)
        self.cable = "%s-%d" % (network.name, number)
        self.outer = self.first = None

    def __enter__(self):
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "--",
            "unshare",
            "--net",
            "--uts",
            "--pid",
            "--mount-proc",
            "--fork",
            "--kill-child",
            "--",
            sys.executable,
            "-c",
            FIRST,
            self.name,
        ]
        self.outer = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            self.first = until(self.child, what="the first process of %s" % self.name)
            self.space = until(self.own_space, what="the namespaces of %s" % self.name)
            run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", str(self.first))
            run("ip", "link", "set", self.cable, "master", self.network.name, "up")
            for words in ("link set lo up", "addr add %s/24 dev eth0" % self.address, "link set eth0 up"):
                run("nsenter", "-t", str(self.first), "-n", "ip", *words.split())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.first:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.first, signal.SIGKILL)
        self.outer.kill()
        self.outer.wait()
        # The kernel takes the network away a little later than the processes; a name is to be had again at once.
        subprocess.run(["ip", "link", "del", self.cable], stderr=subprocess.DEVNULL)

    def child(self):
        with open("/proc/%d/task/%d/children" % (self.outer.pid, self.outer.pid), encoding="ascii") as file:
            return int((file.read().split() or [0])[0])

    def own_space(self):
        """The namespace of its processes, once it has its own name."""
        named = subprocess.run(["nsenter", "-t", str(self.first), "-u", "hostname"], capture_output=True, text=True)
        return os.readlink("/proc/%d/ns/pid" % self.first) if named.stdout.strip() == self.name else None

    def inside(self, *command):
        """A command that runs in it."""
        return ["nsenter", "-t", str(self.first), "-n", "-u", "-p", "-m", "--", *command]

    def processes(self):
        """`{pid: command line}` of all that lives in it but its first process, by our own numbers."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if int(pid) == self.first or os.readlink("/proc/%s/ns/pid" % pid) != self.space:
                    continue
                with open("/proc/%s/cmdline" % pid, "rb") as file:
                    words = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                if words:  # the dead have none
                    found[int(pid)] = words
        return found

    def plugged(self, up):
        run("ip", "link", "set", self.cable, "up" if up else "down")
