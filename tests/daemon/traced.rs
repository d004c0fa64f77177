//! What a worker can do to ostlerd, and to the launchers that become processes of its own user: nothing.

use crate::harness::{Site, WSGI, is_root};
use crate::load::answers;

/// Every way that the kernel has to get into another process, or to change what it may do; each that works is printed.
const TRACER: &str = r#"
import ctypes, mmap, os, resource, signal, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
SEIZE, PIDFD_OPEN, PIDFD_GETFD, PROCESS_VM_READV = 0x4206, 434, 438, 310
class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

def called(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result

def read_memory(pid):
    room = ctypes.create_string_buffer(8)
    here, there = Part(ctypes.addressof(room), 8), Part(0x400000, 8)
    if libc.syscall(PROCESS_VM_READV, pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) < 0:
        if ctypes.get_errno() != 14:  # an address that is not there is read with the right to read
            raise OSError(ctypes.get_errno(), "refused")

def opened(pid, name, mode="rb"):
    with open("/proc/%d/%s" % (pid, name), mode, buffering=0) as file:
        file.read(1) if mode == "rb" else file.write(b"0")

def take_descriptor(pid):
    pidfd = called(libc.syscall(PIDFD_OPEN, pid, 0))
    try:
        called(libc.syscall(PIDFD_GETFD, pidfd, 0, 0))
    finally:
        os.close(pidfd)

WAYS = {
    "trace": lambda pid: called(libc.ptrace(SEIZE, pid, 0, 0)),
    "read its memory": read_memory,
    "open its memory": lambda pid: opened(pid, "mem"),
    "read its environment": lambda pid: opened(pid, "environ"),
    "take a descriptor": take_descriptor,
    "list its descriptors": lambda pid: os.listdir("/proc/%d/fd" % pid),
    "read where it stands": lambda pid: opened(pid, "syscall"),
    "signal": lambda pid: os.kill(pid, 0),
    "limit": lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3)),
    "slow down": lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
    "bind to a processor": lambda pid: os.sched_setaffinity(pid, {0}),
    "have it killed first": lambda pid: opened(pid, "oom_score_adj", "wb"),
}

def attack(pid, ways):
    for name in ways:
        try:
            WAYS[name](pid)
        except OSError:
            continue
        yield name
"#;

const OSTLERD: &str = "
child = os.fork() or os.execv('/bin/sleep', ['sleep', '300'])
print('into a process of its own:', len(list(attack(child, WAYS))), flush=True)
os.kill(child, 9)
os.waitpid(child, 0)
for way in attack(os.getppid(), WAYS):
    print('GOT THROUGH:', way, flush=True)
print('it has tried all', len(WAYS), flush=True)
";

#[test]
fn a_worker_can_neither_trace_nor_read_nor_signal_nor_limit_ostlerd() {
    if !is_root() {
        eprintln!("skipped: only root has workers of another user");
        return;
    }
    let site = Site::new();
    let app = site.app("shop").tcp().workers(1).user(Some("nobody"));
    let app = app.with("app.py", &format!("{TRACER}{OSTLERD}{WSGI}")).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    // All but two, which a kernel or a container may forbid.
    let own = ["12", "11", "10"].map(|count| format!("into a process of its own: {count}"));
    ostlerd.logs("it has tried all 12");
    assert!(own.iter().any(|it| ostlerd.log().contains(it)), "the ways are none: {}", ostlerd.log());
    answers(&app.target(), "1");
    let log = ostlerd.log();
    assert!(!log.contains("GOT THROUGH"), "{log}");
}

/// Launchers are of the worker's own user for a moment, before they are the programs that they start.
const LAUNCHERS: &str = "
def command(pid):
    try:
        with open('/proc/%d/comm' % pid) as file:
            return file.read().strip()
    except OSError:
        return ''
def hunt():
    seen = set()
    while True:
        for pid in [int(name) for name in os.listdir('/proc') if name.isdigit()]:
            try:
                if pid != os.getppid() and command(pid) == 'ostlerd':
                    if pid not in seen and os.stat('/proc/%d' % pid).st_uid in (0, os.getuid()):
                        seen.add(pid)
                        print('it hunts', len(seen), flush=True)
                    for way in attack(pid, ('read its environment', 'take a descriptor', 'open its memory', 'trace')):
                        if command(pid) == 'ostlerd':
                            print('GOT THROUGH:', way, pid, flush=True)
            except OSError:
                pass
threading.Thread(target=hunt, daemon=True).start()
";

#[test]
fn nobody_gets_into_a_launcher_that_has_just_become_his_own_users() {
    if !is_root() {
        eprintln!("skipped: only root has workers of another user");
        return;
    }
    let site = Site::new();
    let hunter = site.app("hunter").tcp().workers(1).user(Some("nobody"));
    hunter.with("app.py", &format!("{TRACER}{LAUNCHERS}{WSGI}")).write();
    site.app("prey").tcp().workers(1).user(Some("nobody")).with("app.py", WSGI).write();
    let ostlerd = site.start();
    ostlerd.serving("hunter");
    ostlerd.serving("prey");
    for _ in 0..5 {
        ostlerd.restart("prey");
    }
    ostlerd.logs("it hunts");
    let log = ostlerd.log();
    assert!(!log.contains("GOT THROUGH"), "{log}");
}
