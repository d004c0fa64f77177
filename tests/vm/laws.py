"""What has to hold on a machine whose control groups have their controllers: run by tests/vm.sh, as root, in it.

Each law is a function, in an order in which one leaves the machine as the next expects it. They wait on states. The
app `blog` is visited all the while, and must never notice anything.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.request

PATIENCE = 180
MIB = 1 << 20
SLICES = "/sys/fs/cgroup/ostler.slice"

APP = """
import os, time

while os.path.exists("/srv/hold") and os.environ["APP"] == "solo":
    time.sleep(0.05)

def application(environ, start_response):
    if environ["PATH_INFO"] == "/eat":
        heap = []
        while True:
            heap.append(b"x" * (4 << 20))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def until(what, look):
    end = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"
        time.sleep(0.1)


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return None


def configure(name, workers, limits=""):
    write(
        f"/etc/ostler/apps.d/{name}.toml",
        f'directory = "/srv/{name}"\npython = "/opt/venv/bin/python"\napp = "app:application"\nuser = "nobody"\n'
        f'listen = "unix:/run/{name}.sock"\nworkers = {workers}\nenv = {{ APP = "{name}" }}\n'
        f'[rollout]\nsettle = "300ms"\n[limits]\ntimeout = "120s"\n{limits}\n',
    )


def visit(name, path="/"):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(f"/run/{name}.sock")
        client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while part := client.recv(4096):
            answer += part
    return answer.decode()


def eat(name):
    """A visit that takes more memory than there may be."""
    try:
        return visit(name, "/eat")
    except ConnectionError:
        return ""


def status(name):
    said = subprocess.run(["ostler", "status", "--json"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return next(app for app in json.loads(said.stdout)["apps"] if app["name"] == name)


def pids(name):
    return sorted(worker["pid"] for worker in status(name)["workers"])


def serving(name, count):
    """The workers of an app, once as many are ready and no other is left."""

    def look():
        workers = status(name)["workers"]
        ready = [worker["pid"] for worker in workers if worker["state"] == "ready"]
        return sorted(ready) if len(ready) == len(workers) == count else None

    return until(f"{count} workers of {name} serve", look)


def restarts(name, cause):
    with urllib.request.urlopen("http://127.0.0.1:9180/metrics") as answer:
        text = answer.read().decode()
    head = f'ostler_worker_restarts_total{{app="{name}",cause="{cause}"}} '
    counts = [line[len(head) :] for line in text.splitlines() if line.startswith(head)]
    return int(counts[0]) if counts else 0


def journal():
    run("journalctl", "--sync")
    return run("journalctl", "--no-pager", "-o", "cat", "-u", "ostler")


def main_pid():
    return run("systemctl", "show", "--value", "-p", "MainPID", "ostler")


def limit(name, file):
    return read(f"{SLICES}/ostler-{name}.slice/{file}")


def one_is_replaced(name, before):
    """Waits until one worker of these has been replaced, and the others have not."""

    def look():
        now = serving(name, len(before))
        return now if now != before else None

    now = until("one is replaced", look)
    assert len(set(now) & set(before)) == len(before) - 1, f"{before} {now}"
    return now


class Client(threading.Thread):
    """Visits the blog all the while."""

    def __init__(self):
        super().__init__(daemon=True)
        self.good, self.bad, self.on = 0, [], True

    def run(self):
        while self.on:
            try:
                answer = visit("blog")
            except OSError as error:
                answer = repr(error)
            if " 200 OK" in answer.split("\r\n")[0]:
                self.good += 1
            else:
                self.bad.append(answer)
            time.sleep(0.05)


def a_start_puts_the_limits_in_force():
    controllers = read("/sys/fs/cgroup/cgroup.controllers").split()
    assert {"cpu", "memory", "pids"} <= set(controllers), controllers
    for name in ("shop", "solo", "blog"):
        write(f"/srv/{name}/app.py", APP)
    write("/etc/ostler/ostler.toml", "")
    configure("shop", 3, 'memory_max = "200MiB"\ntasks_max = 300')
    configure("solo", 1, 'memory_max = "150MiB"')
    configure("blog", 2)
    run("systemctl", "start", "ostler")
    for name, count in (("shop", 3), ("solo", 1), ("blog", 2)):
        serving(name, count)
    until("its memory is limited", lambda: limit("shop", "memory.max") == str(200 * MIB))
    until("its tasks are limited", lambda: limit("shop", "pids.max") == "300")
    assert limit("blog", "memory.max") == "max"


def a_worker_out_of_memory_is_replaced_counted_and_logged_and_nobody_else_notices():
    shop, blog = pids("shop"), pids("blog")
    assert "200 OK" not in eat("shop")
    one_is_replaced("shop", shop)
    assert (restarts("shop", "oom"), restarts("shop", "died")) == (1, 0)
    line = "killed by the kernel: out of memory, the app's memory_max is 200 MiB"
    assert line in journal(), journal()
    assert pids("blog") == blog
    assert (restarts("blog", "oom"), restarts("solo", "oom")) == (0, 0)


def a_worker_that_somebody_kills_is_not_out_of_memory():
    shop = pids("shop")
    os.kill(shop[0], 9)
    one_is_replaced("shop", shop)
    assert (restarts("shop", "oom"), restarts("shop", "died")) == (1, 1)


def the_only_worker_of_an_app_out_of_memory_is_told_apart_as_well_and_the_status_says_so():
    solo = pids("solo")
    write("/srv/hold", "")
    assert "200 OK" not in eat("solo")

    def look():
        words = (status("solo")["last_words"] or {"message": ""})["message"]
        return "out of memory, the app's memory_max is 150 MiB" in words

    until("the status says so", look)
    os.remove("/srv/hold")
    assert serving("solo", 1) != solo
    assert (restarts("solo", "oom"), restarts("solo", "died")) == (1, 0)


def limits_change_live_and_are_taken_back_with_their_keys():
    shop = pids("shop")
    configure("shop", 3, 'memory_max = "300MiB"\nmemory_high = "250MiB"\ncpu_weight = 50')
    run("ostler", "reload")
    until("memory.max has changed", lambda: limit("shop", "memory.max") == str(300 * MIB))
    until("memory.high has changed", lambda: limit("shop", "memory.high") == str(250 * MIB))
    until("cpu.weight has changed", lambda: limit("shop", "cpu.weight") == "50")
    until("pids.max is taken back", lambda: limit("shop", "pids.max") in ("max", None))
    configure("shop", 3)
    run("ostler", "reload")
    until("memory.max is taken back", lambda: limit("shop", "memory.max") in ("max", None))
    until("memory.high is taken back", lambda: limit("shop", "memory.high") in ("max", None))
    until("cpu.weight is taken back", lambda: limit("shop", "cpu.weight") in ("100", None))
    configure("shop", 3, 'memory_max = "200MiB"')
    run("ostler", "reload")
    until("memory.max is set again", lambda: limit("shop", "memory.max") == str(200 * MIB))
    assert pids("shop") == shop


def crash():
    before = main_pid()
    os.kill(int(before), 9)

    def active():
        return run("systemctl", "show", "--value", "-p", "ActiveState", "ostler") == "active"

    until("another ostlerd runs", lambda: main_pid() not in ("0", before) and active())


def a_crash_of_ostlerd_changes_neither_workers_nor_limits():
    before = [pids(name) for name in ("shop", "solo", "blog")]
    for _ in range(3):
        crash()
        assert [pids(name) for name in ("shop", "solo", "blog")] == before
        assert limit("shop", "memory.max") == str(200 * MIB)


def an_adopted_worker_out_of_memory_is_told_apart_too():
    shop = pids("shop")
    eat("shop")
    one_is_replaced("shop", shop)
    assert (restarts("shop", "oom"), restarts("shop", "died")) == (2, 1)


def a_restart_rolls_out_within_the_limits():
    for _ in range(2):
        before = pids("shop")
        run("systemctl", "restart", "ostler")
        run("ostler", "wait")
        assert not set(serving("shop", 3)) & set(before)
        assert limit("shop", "memory.max") == str(200 * MIB)
    assert run("systemctl", "show", "--value", "-p", "Result", "ostler") == "success"


def a_reexecution_keeps_process_and_workers():
    before = (main_pid(), pids("shop"), pids("blog"))
    run("ostler", "reexec")
    assert (main_pid(), serving("shop", 3), serving("blog", 2)) == before
    assert limit("shop", "memory.max") == str(200 * MIB)
    assert restarts("shop", "oom") == 2


def a_stop_leaves_neither_scope_nor_slice_nor_limit():
    run("systemctl", "stop", "ostler")
    until(
        "no unit is left",
        lambda: not run("systemctl", "list-units", "--all", "--no-legend", "ostler-*.scope", "ostler*.slice"),
    )
    assert not os.path.exists(SLICES)
    assert not os.path.exists("/run/ostler")
    left = os.listdir("/run/systemd/system.control") if os.path.exists("/run/systemd/system.control") else []
    assert left == [], left
    configure("shop", 1)
    run("systemctl", "start", "ostler")
    serving("shop", 1)
    assert limit("shop", "memory.max") in ("max", None)
    run("systemctl", "stop", "ostler")


def main():
    client = Client()
    laws = [
        a_start_puts_the_limits_in_force,
        a_worker_out_of_memory_is_replaced_counted_and_logged_and_nobody_else_notices,
        a_worker_that_somebody_kills_is_not_out_of_memory,
        the_only_worker_of_an_app_out_of_memory_is_told_apart_as_well_and_the_status_says_so,
        limits_change_live_and_are_taken_back_with_their_keys,
        a_crash_of_ostlerd_changes_neither_workers_nor_limits,
        an_adopted_worker_out_of_memory_is_told_apart_too,
        a_restart_rolls_out_within_the_limits,
        a_reexecution_keeps_process_and_workers,
        a_stop_leaves_neither_scope_nor_slice_nor_limit,
    ]
    print(f"vm: systemd {run('systemctl', '--version').split()[1]}, Linux {os.uname().release}")
    for law in laws:
        began = time.monotonic()
        if law is a_stop_leaves_neither_scope_nor_slice_nor_limit:
            client.on = False
            client.join()
        law()
        print(f"vm: ok {law.__name__} ({time.monotonic() - began:.1f} s)")
        if law is a_start_puts_the_limits_in_force:
            client.start()
    assert client.good > 0 and not client.bad, client.bad[:5]
    print(f"vm: the other app answered {client.good} visits, and lost none")
    print("vm: every law holds")


try:
    main()
except BaseException:
    traceback.print_exc()
    subprocess.run(["journalctl", "--no-pager", "-n", "60", "-o", "short-monotonic"], stdin=subprocess.DEVNULL)
    print("vm: FAILED")
    sys.exit(1)
