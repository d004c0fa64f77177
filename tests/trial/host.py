"""A machine with an ostlerd and one app on it, and what an operator can say there."""

import contextlib
import http.client
import json
import os
import signal
import subprocess

from machines import Machine, send, until
from release import Project

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = os.path.join(os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target"), "debug")
APP = """
directory = "{folder}/release"
python = "{python}"
app = "site_of_shop.wsgi:application"
listen = ["0.0.0.0:8000"]
user = "nobody"
workers = 1
[rollout]
settle = "100ms"
"""
ATTEMPT = 150  # seconds that one command may take: nothing in the trial takes so long


class Said:
    """The answer of a command."""

    def __init__(self, args, status, out, err):
        self.args, self.status, self.out, self.err = args, status, out, err

    @property
    def told(self):
        """What came of the migrations that it tells of, as ostlerd's `Verdict`s."""
        lines = [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]
        return [it["verdict"] for it in lines if it.get("event") == "migration_ended"]

    @property
    def verdicts(self):
        return [verdict["kind"] for verdict in self.told]

    @property
    def words(self):
        words = "`ostler %s` exits %s" % (" ".join(self.args), self.status)
        return words + (
            ": " + (self.err or self.out).strip()[-1500:] if self.status else " " + ", ".join(self.verdicts)
        )


class Host(Machine):
    """`with Host(network, 1, "web1", folder, options, settings) as host`: not started yet."""

    def __init__(self, network, number, name, folder, options, settings):
        super().__init__(network, number, name)
        self.folder, self.socket, self.log = (
            folder,
            os.path.join(folder, "run", "control.sock"),
            os.path.join(folder, "log"),
        )
        for part in ("apps.d", "release"):
            os.makedirs(os.path.join(folder, part))
        os.chmod(folder, 0o755)
        self.write("ostler.toml", "")
        self.write(
            "apps.d/shop.toml",
            APP.format(folder=folder, python=options.python) + ("[migrate]\nmarker = false\n" if options.plant else ""),
        )
        self.project = Project(os.path.join(folder, "release"), settings)
        self.daemon = None

    def __exit__(self, *trouble):
        super().__exit__(*trouble)
        if self.daemon:  # a stopped `nsenter` does not see what it has started end
            self.daemon.kill()
            self.daemon.wait()

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        """An ostlerd, in the background, once it answers."""
        command = self.inside(
            os.path.join(PROGRAMS, "ostlerd"),
            "--config",
            os.path.join(self.folder, "ostler.toml"),
            "--runtime-dir",
            os.path.join(self.folder, "run"),
            "--state-dir",
            os.path.join(self.folder, "state"),
        )
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            )
        until(
            lambda: self.daemon.poll() is None and os.path.exists(self.socket) and self.ostler("status").status != 69,
            what="ostlerd of %s answers: %s" % (self.name, self.printed()[-1500:]),
        )

    def ostler(self, *args):
        return self.begin(*args)()

    def begin(self, *args):
        """Starts a command; what is returned waits for its answer."""
        command = [os.path.join(PROGRAMS, "ostler"), "--socket", self.socket, *args]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

        def ended():
            try:
                out, err = process.communicate(timeout=ATTEMPT)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                err += "\n(no answer within %d s)" % ATTEMPT
            return Said(args, process.returncode, out, err)

        return ended

    def history(self):
        """The runs of this machine, oldest first."""
        said = self.ostler("migrate", "shop", "--history", "--json")
        return json.loads(said.out)["runs"] if said.status == 0 else []

    def which(self, role):
        """The pids of `ostlerd`, of those that `migrate`, that `watch`, of each `worker`, or of `any`."""
        marks = {
            "any": "",
            "ostlerd": "/ostlerd --config",
            "migrate": " [migration]",
            "watch": " [database]",
            "worker": " [w",
        }
        return [pid for pid, words in self.processes().items() if marks[role] in words]

    def signal(self, role, number):
        """Whether anybody has got it."""
        return send(self.which(role), number)

    @contextlib.contextmanager
    def frozen(self, pids):
        send(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            send(pids, signal.SIGCONT)

    def fall(self):
        """ostlerd is killed, and so are its workers, as whatever holds them in place of systemd would; a migration goes on."""
        if not self.signal("ostlerd", signal.SIGKILL):
            return False
        self.gone(10)
        self.signal("worker", signal.SIGKILL)
        return True

    def gone(self, within):
        until(lambda: not self.which("ostlerd"), within, "ostlerd of %s has ended" % self.name)
        # `nsenter` stands still with what it has started.
        self.daemon.kill()
        self.daemon.wait()

    def answers(self):
        """The status of its front page; None where nobody answers."""
        connection = http.client.HTTPConnection(self.address, 8000, timeout=10)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def stop(self):
        """As an operator does; what is left of it then."""
        self.signal("ostlerd", signal.SIGTERM)
        self.gone(60)
        return ["%d %s" % one for one in self.processes().items()]

    def printed(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()
