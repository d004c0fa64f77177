"""Holds up whoever looks: hold.py lease FILE | hold.py dead FOLDER | hold.py memory UID FOLDER."""

import ctypes
import errno
import fcntl
import os
import signal
import struct
import sys
import threading
import time

LOOKUP, GETATTR, OPEN, READ = 1, 3, 14, 15

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


def lease(path):
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    fd = os.open(path, os.O_RDWR)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    print("held", flush=True)
    signal.pause()


def mount(folder):
    """A file system of which nothing is answered yet but that it is there; where it is asked."""
    fd = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"dead", folder.encode(), b"fuse", 0, options):
        sys.exit(os.strerror(ctypes.get_errno()))
    unique = struct.unpack_from("<Q", os.read(fd, 1 << 20), 8)[0]
    said = struct.pack("<IIIIHHII", 7, 31, 0, 0, 0, 0, 4096, 0).ljust(64, b"\0")
    os.write(fd, struct.pack("<IiQ", 16 + len(said), 0, unique) + said)
    return fd


def dead(folder):
    """A file system of which nothing is ever answered but that it is there."""
    mount(folder)
    print("held", flush=True)
    # What is not even read can be given up by whoever is killed, as it can with NFS.
    signal.pause()


def memory(uid, folder):
    """A process of this user whose memory nobody can read: it waits in there for a file that does not answer."""
    # Whoever looks at all processes of the machine waits for it: never for long.
    signal.alarm(20)
    fd = mount(folder)
    if os.fork():
        serve(fd)
    os.close(fd)
    libc.prctl(1, signal.SIGKILL)
    file = os.open(f"{folder}/file", os.O_RDONLY)
    os.setresuid(*3 * [int(uid)])
    page = libc.mmap(None, 4096, 1, 1, file, 0)
    threading.Thread(target=lambda: libc.memcmp(page, b"x", 1), daemon=True).start()
    time.sleep(0.5)
    print(f"held {os.getpid()}", flush=True)
    # Behind whoever waits to change the map is everybody who reads.
    while True:
        libc.mmap(None, 4096, 1, 0x22, -1, 0)
        time.sleep(0.01)


def serve(fd):
    """Answers for a folder with one file, of which a first reading fails and a second one waits."""

    def attributes(node, mode):
        return struct.pack("<6Q10I", node, 4096, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    answers = {
        LOOKUP: struct.pack("<QQQQII", 2, 0, 999, 999, 0, 0) + attributes(2, 0o100644),
        GETATTR: struct.pack("<QII", 999, 0, 0) + attributes(1, 0o40755),
        OPEN: struct.pack("<QII", 0, 0, 0),
    }
    reads = 0
    while True:
        _, asked, unique = struct.unpack_from("<IIQ", os.read(fd, 1 << 20))
        reads += asked == READ
        if asked in answers:
            os.write(fd, struct.pack("<IiQ", 16 + len(answers[asked]), 0, unique) + answers[asked])
        elif asked != READ or reads == 1:
            os.write(fd, struct.pack("<IiQ", 16, -errno.EIO, unique))


how, *what = sys.argv[1:]
{"lease": lease, "dead": dead, "memory": memory}[how](*what)
