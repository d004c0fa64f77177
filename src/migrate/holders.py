"""Who has the file of a SQLite database locked: what the kernel shows of it, which is never all.

A process that holds a lock is named by `fcntl` itself, whatever else this user may see; `/proc/locks` adds those who hold the
same one. What a process is called, and as whom it runs, is in its own folder of `/proc`, and so is what it has open, which is
shown of this user's own processes alone. Where nothing of that can be read, less is said.
"""

import fcntl
import os
import pwd
import struct
import time

from _ostler.database import backend
from _ostler.text import short

# Bytes of the database that SQLite locks, and in write-ahead mode those of the writer and of a recovery in `-shm`.
PENDING, RESERVED, SHARED, SHARED_BYTES = 0x40000000, 0x40000001, 0x40000002, 510
WAL_WRITER, WAL_RECOVERY = 120, 122
WAL_AT, WAL = 18, b"\2"  # in the file's own header: by which version it is written
FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid
PROC = "/proc"
KEPT = 4 << 20  # bytes of /proc/locks
SECONDS = 0.5  # for a walk through all processes
MOST = 8  # that are named
UNSEEN = "a process that is not seen from here, perhaps of another container or machine"
MARK = b"OSTLER_MIGRATION="


class File:
    """The database's file, and its `-shm`. What was opened is never closed: that would take the locks of SQLite in this very
    program away with it."""

    def __init__(self, path, main):
        self.path, self.main, self.shared = path, main, None

    def shm(self):
        """It is the same file for as long as anybody has it open."""
        if self.shared is None:
            try:
                self.shared = os.open(self.path + "-shm", os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                return None
        return self.shared

    def writers(self):
        """The processes that are writing, or about to; 0 is one that is not seen."""
        found = {
            asked(self.main, fcntl.F_RDLCK, *place) for place in ((PENDING, 1), (RESERVED, 1), (SHARED, SHARED_BYTES))
        }
        shared = self.shm()
        if shared is not None:
            found |= {asked(shared, fcntl.F_RDLCK, byte, 1) for byte in (WAL_WRITER, WAL_RECOVERY)}
        return found - {None}

    def pending(self):
        """Who lets nobody begin to read, and waits for those who do."""
        return asked(self.main, fcntl.F_RDLCK, PENDING, 1)

    def readers(self):
        """The processes that keep a writer from its end; none in write-ahead mode, where every connection has that lock."""
        if os.pread(self.main, 1, WAL_AT) == WAL:
            return set()
        one = asked(self.main, fcntl.F_WRLCK, SHARED, SHARED_BYTES)
        return set() if one is None else {one} | sharing(self.main, one)


def asked(fd, kind, start, length):
    """The process whose lock is in the way of such a one; 0 where it is not seen, None where there is none."""
    found, _, _, _, pid = struct.unpack(
        FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(FLOCK, kind, os.SEEK_SET, start, length, 0))
    )
    return None if found == fcntl.F_UNLCK else max(0, pid)


def sharing(fd, known):
    """All that `/proc/locks` has as readers of this file: `1: POSIX  ADVISORY  READ 4711 08:01:131 1073741826 1073742335`."""
    try:
        with open(PROC + "/locks", "rb") as file:
            lines = file.read(KEPT).decode("ascii", "replace").splitlines()
    except OSError:
        return set()
    status, found = os.fstat(fd), set()
    device = "%02x:%02x" % (os.major(status.st_dev), os.minor(status.st_dev))
    for line in lines:
        fields = line.split()  # one that waits has an arrow, and so one more
        if len(fields) != 8 or fields[1] != "POSIX" or not fields[4].isdigit() or not fields[6].isdigit():
            continue
        place, _, number = fields[5].rpartition(":")
        # Some file systems (btrfs) have another number of the device there: then only who is known is.
        if number != str(status.st_ino) or place != device and int(fields[4]) != known:
            continue
        if SHARED <= int(fields[6]) < SHARED + SHARED_BYTES:
            found.add(int(fields[4]))
    return found


def in_the_way(file):
    """Whoever keeps another from writing, apart from this process, as ostlerd's `Backend`s."""
    writers, own = file.writers(), {os.getpid()}
    if writers - own:
        return described(writers - own, "writing")
    readers = file.readers() - own
    if readers:
        return described(readers, "reading")
    return described(users(file.path) - own, "probably: has it open")


def described(pids, state):
    return [backend(pid, words(pid) if pid else UNSEEN, state) for pid in sorted(pids)[:MOST]]


def words(pid):
    """`/usr/bin/python3 report.py of the user www-data`, as far as it is shown."""
    program, user = program_of(pid), user_of(pid)
    return "%s%s" % (program or "a process whose name is not shown", " of the user " + user if user else "")


def program_of(pid):
    """Its command line; of Python code that is given in it, and the like, no more than that there is some."""
    arguments = contents(pid, "cmdline", 16384).decode("utf-8", "replace").split("\0")
    return short(" ".join("…" if "\n" in one.strip() else one for one in arguments), 60)


def user_of(pid):
    for line in contents(pid, "status", 4096).decode("utf-8", "replace").splitlines():
        if line.startswith("Uid:"):
            number = int(line.split()[2])
            try:
                return pwd.getpwuid(number).pw_name
            except KeyError:
                return str(number)
    return None


def contents(pid, name, most):
    try:
        with open("%s/%d/%s" % (PROC, pid, name), "rb") as file:
            return file.read(most)
    except OSError:
        return b""


def users(path):
    """The processes, of those that this user may look into, that have the database open."""
    files = {os.path.realpath(path) + end for end in ("", "-wal", "-shm")}
    return walk(lambda pid: has_open(pid, files))


def has_open(pid, files):
    folder = "%s/%d/fd" % (PROC, pid)
    try:
        # Nothing is asked of the files themselves: on a network that may hang.
        return any(os.readlink("%s/%s" % (folder, one)) in files for one in os.listdir(folder))
    except OSError:
        return False


def walk(holds):
    limit, found = time.monotonic() + SECONDS, set()
    try:
        pids = [int(one) for one in os.listdir(PROC) if one.isdigit()]
    except OSError:
        return found
    for pid in pids:
        if time.monotonic() > limit:
            break
        if holds(pid):
            found.add(pid)
    return found


class Waiting:
    """Whether the run waits for a lock, seen from outside: SQLite keeps no list of those who wait, they sleep and try again."""

    def __init__(self, file, tag):
        self.file, self.end = file, b":" + tag.encode()
        self.before = set()  # who was in the way at the last look
        self.run = set()  # the run's own processes
        self.searched = 0.0

    def blockers(self, writers):
        """Who the run waits for, as ostlerd's `Backend`s."""
        pending = self.file.pending()
        if pending and self.is_run(pending):
            return described({pid for pid in self.file.readers() if not self.is_run(pid)}, "reading")
        others = {pid for pid in writers if not self.is_run(pid)}
        stay, self.before = others & self.before, others
        return described(stay, "writing") if stay and self.sleeps() else []

    def is_run(self, pid):
        variables = contents(pid, "environ", 1 << 20).split(b"\0") if pid else []
        return any(one.startswith(MARK) and one.endswith(self.end) for one in variables)

    def sleeps(self):
        """Whether one of the run's processes has the file open, and none of those that have it is at work."""
        now = time.monotonic()
        if not self.run or now >= self.searched + 1.0:
            self.run, self.searched = walk(self.is_run), now
        files = {os.path.realpath(self.file.path) + end for end in ("", "-wal", "-shm")}
        states = {state_of(pid) for pid in self.run if has_open(pid, files)}
        return states == {"S"}


def state_of(pid):
    """`S` where it sleeps, `R` where it is at work."""
    return contents(pid, "stat", 4096).decode("utf-8", "replace").rpartition(")")[2].strip()[:1]
