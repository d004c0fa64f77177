"""The database servers of the trial: those of tests/migrate_db, reachable over a network, and asked for what is left in them."""

import contextlib
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "migrate_db", "servers"))

import mariadb  # noqa: E402
import postgres  # noqa: E402
from machines import send  # noqa: E402


def family(pid):
    """A process and its children."""
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        return [pid] + [int(child) for child in file.read().split()]


class Server:
    """What both have."""

    @contextlib.contextmanager
    def frozen(self):
        pids = family(self.process.pid)
        send(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            send(pids, signal.SIGCONT)


class Postgres(Server, postgres.Postgres):
    """What was committed has to be there after a crash of the server, or every outcome told may be false."""

    kind = "postgresql"

    def __init__(self, network):
        super().__init__()
        self.address, self.network = network.address, network.prefix + "0/24"
        self.options = ("listen_addresses=" + self.address, "synchronous_commit=on", "max_connections=100")

    def make(self):
        super().make()
        with open(os.path.join(self.data, "pg_hba.conf"), "a", encoding="utf-8") as file:
            file.write("host all all %s scram-sha-256\n" % self.network)

    def settings(self, name, **options):
        return dict(super().settings(name, **options), HOST=self.address)

    def rows(self, database, sql):
        return [line.split("|") for line in self.psql(sql, database=database).splitlines()]

    def columns(self, database, table):
        return {
            row[0]
            for row in self.rows(
                database,
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('%s') "
                "AND attnum > 0 AND NOT attisdropped" % table,
            )
        }

    def indexes(self, database, table):
        """`{name: whether it can be used}`."""
        rows = self.rows(
            database,
            "SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = to_regclass('%s')" % table,
        )
        return {name: valid == "t" for name, valid in rows}

    def tell(self, database, *statements):
        for statement in statements:
            self.psql(statement, database=database)

    def fill(self, database, rows):
        self.tell(
            database, "INSERT INTO shop_order (name, price) SELECT md5(n::text), n FROM generate_series(1, %d) n" % rows
        )

    def drop_index(self, database, index):
        self.tell(database, "DROP INDEX IF EXISTS " + index)

    def restart(self, crash):
        self.stop(signal.SIGQUIT if crash else signal.SIGINT)
        self.start()

    def backends(self, database, machine, watching):
        """The pids of a run's backends, or of those that watch it."""
        like = "ostler%s:%%:%s:%%" % ("-watch" if watching else "", machine.name)
        return [
            int(row[0])
            for row in self.rows(
                "postgres",
                "SELECT pid FROM pg_stat_activity WHERE datname = '%s' AND "
                "application_name LIKE '%s'" % (database, like),
            )
        ]

    def end_backends(self, database, machine, watching):
        return bool(
            [self.psql("SELECT pg_terminate_backend(%d)" % pid) for pid in self.backends(database, machine, watching)]
        )

    def processes(self, database, machine):
        """Those of this machine that work for a run."""
        return self.backends(database, machine, False)

    def left(self, database):
        """What is there of runs when none is under way, in words."""
        found = self.rows(
            database,
            "SELECT pid, application_name, state FROM pg_stat_activity WHERE datname = '%s' "
            "AND application_name LIKE 'ostler%%'" % database,
        )
        found += self.rows(
            database,
            "SELECT pid, locktype, mode FROM pg_locks WHERE locktype = 'advisory' AND "
            "database = (SELECT oid FROM pg_database WHERE datname = '%s')" % database,
        )
        return [" ".join(row) for row in found]

    def grant(self, database, table):
        self.tell(database, "GRANT ALL ON %s TO shop" % table)

    def drop(self, database):
        self.psql("DROP DATABASE IF EXISTS %s WITH (FORCE)" % database)


class Mariadb(Server, mariadb.Mariadb):
    kind = "mariadb"

    def __init__(self, network):
        self.address, self.port = network.address, postgres.free_port()
        super().__init__(
            "--skip-networking=0",
            "--bind-address=" + self.address,
            "--port=%d" % self.port,
            "--skip-name-resolve",
            "--max-connections=150",
        )

    def __enter__(self):
        super().__enter__()
        try:
            self.sql(
                "CREATE USER shop@'10.%%' IDENTIFIED BY '%s'" % mariadb.PASSWORD,
                "GRANT ALL ON `shop\\_%`.* TO shop@'10.%'",
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def settings(self, name, **options):
        made = super().settings(name, **options)
        made["OPTIONS"].pop("unix_socket")
        return dict(made, HOST=self.address, PORT=str(self.port))

    def rows(self, database, sql):
        return self.sql(sql, database=database)

    def columns(self, database, table):
        return {row[0] for row in self.of_schema(database, "COLUMN_NAME", "COLUMNS", table)}

    def indexes(self, database, table):
        return {row[0]: True for row in self.of_schema(database, "INDEX_NAME", "STATISTICS", table)}

    def of_schema(self, database, what, view, table):
        return self.sql(
            "SELECT %s FROM information_schema.%s WHERE TABLE_SCHEMA = '%s' AND TABLE_NAME = '%s'"
            % (what, view, database, table)
        )

    def tell(self, database, *statements):
        self.sql(*statements, database=database)

    def fill(self, database, rows):
        super().fill(database, "shop_order", rows, values="md5(seq), seq")

    def drop_index(self, database, index):
        self.tell(database, "DROP INDEX IF EXISTS %s ON shop_order" % index)

    def restart(self, crash):
        (self.kill if crash else self.stop)()
        self.start()

    def held(self, database):
        """`{name of a lock: its connection}` of those by which ostler knows its connections."""
        names = {"lock": "ostler:migrate:%s", "fence": "ostler:migrate:%s runs"}
        names.update(("run %d" % number, "ostler:run%d:%%s" % number) for number in range(4))
        row = self.sql("SELECT " + ", ".join("IS_USED_LOCK('%s')" % (name % database) for name in names.values()))[0]
        return {name: int(value) for name, value in zip(names, row) if value != "NULL"}

    def backends(self, database, machine, watching):
        own = {
            int(row[0])
            for row in self.sql(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE HOST LIKE '%s:%%'" % machine.address
            )
        }
        return [pid for name, pid in self.held(database).items() if pid in own and (name == "lock") == watching]

    def end_backends(self, database, machine, watching):
        found = self.backends(database, machine, watching)
        for pid in found:
            with contextlib.suppress(RuntimeError):  # gone meanwhile
                self.sql("KILL CONNECTION %d" % pid)
        return bool(found)

    def processes(self, database, machine):
        return []  # threads, which cannot be stopped one by one

    def left(self, database):
        return ["%s is held by connection %d" % pair for pair in self.held(database).items()]

    def grant(self, database, table):
        pass  # whoever may use the database may use it

    def drop(self, database):
        self.sql("DROP DATABASE IF EXISTS `%s`" % database)


KINDS = {"postgresql": Postgres, "mariadb": Mariadb}
