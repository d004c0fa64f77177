//! Database servers of the tests' own: a folder, a process, a Unix socket.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, chown};
use tempfile::TempDir;

use crate::harness::{Said, is_root, kill, until};

/// `nobody`, on every Linux: a server may not be root, and apps are run as nobody too.
const NOBODY: u32 = 65534;

/// PostgreSQL with a database and a user `shop`, who needs no password.
pub struct Postgres {
    folder: TempDir,
    server: Option<Child>,
}

impl Postgres {
    /// A new server, once it answers.
    pub fn start() -> Postgres {
        let folder = folder("pg");
        let data = data_folder(folder.path());
        let settings = "listen_addresses = ''\nfsync = off\nmax_connections = 100\nshared_buffers = 16MB\n\
                        autovacuum = off\nlog_line_prefix = '%m [%p] %a '\nlog_statement = ddl\n";
        let file = data.join("postgresql.conf");
        let text = fs::read_to_string(&file).expect("initdb wrote it") + settings;
        fs::write(&file, text).expect("the folder is ours");
        let hba = data.join("pg_hba.conf");
        let text = fs::read_to_string(&hba).expect("initdb wrote it");
        fs::write(&hba, format!("local all guarded scram-sha-256\n{text}")).expect("the folder is ours");
        let mut postgres = Postgres { folder, server: None };
        postgres.up();
        postgres.admin("create role shop login superuser; create role guarded login password 'right'");
        postgres.admin("create database shop owner shop");
        postgres
    }

    /// Starts the server again after `down`.
    pub fn up(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"));
        let log = log.expect("the folder is ours");
        let mut command = as_nobody(&program("postgres"));
        command.arg("-D").arg(self.folder.path().join("data")).arg("-k").arg(self.folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor is free")).stderr(log);
        self.server = Some(command.spawn().expect("postgres starts"));
        until("postgres answers", || {
            (self.ask_as("postgres", "postgres", "select 1").code == Some(0)).then_some(())
        });
    }

    /// Ends the server at once, connections and all.
    pub fn down(&mut self) {
        if let Some(mut server) = self.server.take() {
            kill(server.id() as i32, Signal::SIGINT);
            server.wait().expect("the child is ours");
        }
    }

    /// The folder of its socket, as `HOST`.
    pub fn host(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// What the database `shop` answers: rows a line each, columns with `|`.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        let said = self.ask_as("shop", "shop", sql);
        assert_eq!(said.code, Some(0), "{sql}: {said}");
        said.out.trim().to_owned()
    }

    /// The same as the server's owner, in the database `postgres`.
    #[track_caller]
    pub fn admin(&self, sql: &str) {
        for statement in sql.split(';') {
            let said = self.ask_as("postgres", "postgres", statement);
            assert_eq!(said.code, Some(0), "{statement}: {said}");
        }
    }

    fn ask_as(&self, user: &str, database: &str, sql: &str) -> Said {
        Said::of(self.psql(user, database).arg("-c").arg(sql))
    }

    fn psql(&self, user: &str, database: &str) -> Command {
        let mut command = Command::new(program("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", database, "-h"]);
        command.arg(self.folder.path()).env("PGAPPNAME", "the tests").env("PGCONNECT_TIMEOUT", "5");
        command.stdin(Stdio::null());
        command
    }

    /// A session that has run `sql` and stays open until it is dropped: `begin; select …` is idle in transaction.
    pub fn session(&self, application: &str, sql: &str) -> Session {
        use std::io::Write;
        let mut command = self.psql("shop", "shop");
        command.env("PGAPPNAME", application).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().expect("psql starts");
        let input = child.stdin.as_mut().expect("its input is piped");
        writeln!(input, "{sql}").and_then(|()| input.flush()).expect("psql reads");
        let seen = format!(
            "select count(*) from pg_stat_activity where application_name = '{application}' and state <> 'active' \
             and query <> ''"
        );
        until("the session has run its statement", || (self.sql(&seen) != "0").then_some(()));
        Session(child)
    }

    /// Backends of a migration, and of its watch where asked for.
    pub fn tagged(&self) -> String {
        self.sql("select pid, application_name, state, query from pg_stat_activity where application_name like 'ostler:%'")
    }

    /// Fails the test where anything of a migration is left: a backend, a lock, an invalid index.
    #[track_caller]
    pub fn is_clean(&self) {
        assert_eq!(self.tagged(), "", "backends of the migration are left");
        let invalid = self.sql("select indexrelid::regclass from pg_index where not indisvalid");
        assert_eq!(invalid, "", "invalid indexes are left");
        let locks = "select l.pid, l.mode, l.relation::regclass from pg_locks l join pg_stat_activity a using (pid) \
                     where l.mode in ('AccessExclusiveLock', 'ShareLock', 'ShareUpdateExclusiveLock') \
                     and l.relation is not null and a.application_name like 'ostler%'";
        assert_eq!(self.sql(locks), "", "locks are left");
    }

    /// A mark of the whole schema of `shop`, without what is ostler's own, and of what is recorded as applied.
    pub fn schema(&self) -> String {
        self.sql(
            "select string_agg(x, ' ' order by x) from (select format('%s.%s:%s', c.relname, a.attname, \
             format_type(a.atttypid, a.atttypmod)) x from pg_attribute a join pg_class c on c.oid = a.attrelid join \
             pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relname !~ '^ostler_migrations' and a.attnum > 0 and not attisdropped \
             union all select 'applied ' || app || '.' || name from django_migrations) s",
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.down();
    }
}

/// pgbouncer in transaction mode in front of a server, on a Unix socket of its own.
pub struct Pooler {
    folder: TempDir,
    process: Child,
}

impl Pooler {
    /// In front of `server`, once it answers.
    pub fn before(server: &Postgres) -> Pooler {
        let folder = folder("pool");
        let path = folder.path().display();
        let text = format!(
            "[databases]\nshop = host={} dbname=shop user=shop\n[pgbouncer]\nunix_socket_dir = {path}\n\
             listen_addr =\nlisten_port = 6432\nauth_type = any\npool_mode = transaction\n\
             logfile = {path}/log\npidfile = {path}/pid\n",
            server.host()
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, text).expect("the folder is ours");
        let mut command = as_nobody(&program("pgbouncer"));
        command.arg("-q").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("pgbouncer starts");
        let socket = folder.path().join(".s.PGSQL.6432");
        until("pgbouncer listens", || socket.exists().then_some(()));
        Pooler { folder, process }
    }

    /// `DATABASES["default"]` through it, as JSON.
    pub fn database(&self) -> String {
        let host = self.folder.path().display().to_string();
        format!(
            r#"{{"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "USER": "shop", "HOST": {host:?}, "PORT": "6432", "DISABLE_SERVER_SIDE_CURSORS": true}}"#
        )
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        kill(self.process.id() as i32, Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

/// An open session; dropped, it ends and its transaction is rolled back.
pub struct Session(Child);

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// MariaDB with a database and a user `shop` without a password.
pub struct MariaDb {
    folder: TempDir,
    server: Option<Child>,
}

impl MariaDb {
    /// A new server, once it answers.
    pub fn start() -> MariaDb {
        let folder = folder("maria");
        let data = folder.path().join("data");
        let made = Said::of(
            as_nobody(&program("mariadb-install-db"))
                .env("TMPDIR", folder.path())
                .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
                .arg(format!("--tmpdir={}", folder.path().display()))
                .arg(format!("--datadir={}", data.display())),
        );
        assert_eq!(made.code, Some(0), "mariadb-install-db: {made}");
        let mut maria = MariaDb { folder, server: None };
        maria.up();
        maria.ask("mysql", "create database shop character set utf8mb4").exits(0);
        maria.ask("mysql", "create user shop@localhost identified by ''").exits(0);
        maria.ask("mysql", "grant all on *.* to shop@localhost").exits(0);
        maria
    }

    /// Starts the server again after `down`.
    pub fn up(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"));
        let log = log.expect("the folder is ours");
        let mut command = as_nobody(&program("mariadbd"));
        command.args([
            "--no-defaults",
            "--skip-networking",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=0",
        ]);
        command.arg(format!("--datadir={}", self.folder.path().join("data").display()));
        command.arg(format!("--tmpdir={}", self.folder.path().display()));
        command.arg(format!("--socket={}", self.socket()));
        command.arg(format!("--pid-file={}", self.folder.path().join("pid").display()));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor is free")).stderr(log);
        self.server = Some(command.spawn().expect("mariadbd starts"));
        until("mariadb answers", || (self.ask("mysql", "select 1").code == Some(0)).then_some(()));
    }

    /// Ends the server at once.
    pub fn down(&mut self) {
        if let Some(mut server) = self.server.take() {
            kill(server.id() as i32, Signal::SIGTERM);
            server.wait().expect("the child is ours");
        }
    }

    /// Its socket.
    pub fn socket(&self) -> String {
        self.folder.path().join("sock").display().to_string()
    }

    fn ask(&self, database: &str, sql: &str) -> Said {
        let mut command = Command::new(program("mariadb"));
        command.args([
            "--no-defaults",
            "-u",
            "root",
            "-N",
            "-B",
            "-S",
            &self.socket(),
            "-D",
            database,
            "-e",
            sql,
        ]);
        Said::of(command.stdin(Stdio::null()))
    }

    /// What the database `shop` answers: rows a line each, columns with tabs.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.ask("shop", sql).exits(0).out.trim().to_owned()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.down();
    }
}

fn folder(kind: &str) -> TempDir {
    let folder =
        tempfile::Builder::new().prefix(&format!("ostler-{kind}-")).tempdir().expect("/tmp is writable");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
    if is_root() {
        chown(folder.path(), Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).expect("we are root");
    }
    folder
}

/// The data of a new PostgreSQL, in `folder`. What `initdb` works a second for is made once, kept with what was built, and
/// copied; its name says what it was made by, and for whom.
fn data_folder(folder: &Path) -> PathBuf {
    let (initdb, kept_in) = (program("initdb"), env!("CARGO_TARGET_TMPDIR"));
    let arguments = ["--no-sync", "--auth=trust", "-U", "postgres"];
    let version = Said::of(Command::new(&initdb).arg("--version")).exits(0);
    // What it makes depends on them.
    let locale = ["LANG", "LC_ALL", "TZ"].map(|name| std::env::var(name).unwrap_or_default()).join(" ");
    let name = format!("{} {} {} {locale}", version.out.trim(), arguments.join(" "), Uid::effective());
    let kept = Path::new(kept_in).join(name.replace(|each: char| !each.is_ascii_alphanumeric(), "-"));
    let data = folder.join("data");
    if kept.exists() {
        copy(&kept, &data);
        return data;
    }
    Said::of(as_nobody(&initdb).args(arguments).arg("-D").arg(&data)).exits(0);
    let beside = tempfile::tempdir_in(kept_in).expect("cargo's folder is writable");
    copy(&data, &beside.path().join("data"));
    // Another test may have been quicker, and there is one already: they are the same.
    let _ = fs::rename(beside.path().join("data"), kept);
    data
}

fn copy(from: &Path, to: &Path) {
    Said::of(Command::new("cp").arg("-a").args([from, to])).exits(0);
}

/// A program of a database server, run as nobody where we are root.
fn as_nobody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let nobody = NOBODY.to_string();
    command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]).arg(program).current_dir("/");
    command
}

fn program(name: &str) -> PathBuf {
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|it| it.path().join("bin"))
        .collect();
    folders.sort();
    folders.reverse();
    folders.extend(["/usr/bin", "/usr/sbin"].map(PathBuf::from));
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: run `bash tests/setup.sh` first"))
}
