"""A PostgreSQL of one's own, and a pgbouncer: a folder, a socket and a port, no service, nothing left afterwards."""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from session import Session

OPTIONS = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=60",
    "shared_buffers=64MB",
    "autovacuum=off",
    "max_wal_size=4GB",
    "logging_collector=off",
    "log_statement=none",
]
PASSWORD = "open, sesame"


def program(name):
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/" + name)) or [shutil.which(name)]
    if not found[-1]:
        raise SystemExit("PostgreSQL's %s is missing: run tests/setup.sh" % name)
    return found[-1]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def unprivileged(command):
    """Neither server runs as root."""
    if os.geteuid():
        return command
    user = pwd.getpwnam("nobody")
    return ["setpriv", "--reuid=%d" % user.pw_uid, "--regid=%d" % user.pw_gid, "--clear-groups", "--"] + command


def wait_until(holds, within=20, what="it"):
    limit = time.monotonic() + within
    while not holds():
        assert time.monotonic() < limit, "not within %s s: %s" % (within, what)
        time.sleep(0.02)


class Server:
    """A process of its own in a folder of its own."""

    def __init__(self):
        # Short, because a socket's path may not have more than 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="ostler-pg-", dir="/tmp")
        if not os.geteuid():
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
        os.chmod(self.folder, 0o755)
        self.log = os.path.join(self.folder, "log")
        self.process = None
        self.port = free_port()

    def __enter__(self):
        try:
            self.make()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def spawn(self, command):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                unprivileged(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

    def stop(self, number=signal.SIGINT):
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self.process = None


class Postgres(Server):
    """`with Postgres() as server`: the user `shop` with a password owns its databases and is no superuser."""

    options = ()

    def make(self):
        self.data = os.path.join(self.folder, "data")
        subprocess.run(
            unprivileged(
                [
                    program("initdb"),
                    "-D",
                    self.data,
                    "-U",
                    "root",
                    "-A",
                    "trust",
                    "--no-sync",
                    "--no-instructions",
                    "-E",
                    "UTF8",
                    "--locale=C",
                ]
            ),
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
        )
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as file:
            file.write("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")

    def start(self):
        options = [part for option in OPTIONS + list(self.options) for part in ("-c", option)]
        self.spawn(
            [program("postgres"), "-D", self.data, "-k", self.folder, "-p", str(self.port), "-h", "127.0.0.1"] + options
        )
        wait_until(lambda: self.psql("SELECT 1", check=False) == "1", what="the server answers")
        self.psql(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop') THEN "
            "CREATE ROLE shop LOGIN PASSWORD '%s'; END IF; END $$" % PASSWORD
        )

    def psql(self, sql, database="postgres", user="root", check=True):
        done = subprocess.run(
            [
                "psql",
                "-XqAt",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                self.folder,
                "-p",
                str(self.port),
                "-U",
                user,
                "-d",
                database,
                "-c",
                sql,
            ],
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout.strip()

    def session(self, database, user="shop", name="shop-web"):
        """A connection that stays: psql, told on its standard input."""
        return Session(
            ["psql", "-XqAt", "-h", self.folder, "-p", str(self.port), "-U", user, "-d", database],
            "SELECT pg_backend_pid()",
            env=dict(os.environ, PGAPPNAME=name),
        )

    def database(self, name):
        """A new database; Django's settings for it, over TCP with the password."""
        self.psql("CREATE DATABASE %s OWNER shop" % name)
        return self.settings(name)

    def settings(self, name, **options):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "USER": "shop",
            "PASSWORD": PASSWORD,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "OPTIONS": options,
        }


class Pgbouncer(Server):
    """A pooler before `server`."""

    def __init__(self, server, mode):
        super().__init__()
        self.server, self.mode = server, mode

    def make(self):
        users = os.path.join(self.folder, "users.txt")
        with open(users, "w", encoding="utf-8") as file:
            file.write('"shop" "%s"\n' % PASSWORD)
        with open(os.path.join(self.folder, "ini"), "w", encoding="utf-8") as file:
            file.write(
                "[databases]\n* = host=127.0.0.1 port=%d\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\n"
                "unix_socket_dir =\nauth_type = plain\nauth_file = %s\npool_mode = %s\ndefault_pool_size = 10\n"
                % (self.server.port, self.port, users, self.mode)
            )

    def start(self):
        self.spawn(["/usr/sbin/pgbouncer", os.path.join(self.folder, "ini")])

        def open_to_all():
            with socket.socket() as one:
                return one.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(open_to_all, what="pgbouncer listens")
