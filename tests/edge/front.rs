//! The programs that stand in front: how each is started with its example, and stopped without a trace.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::harness::{free_address, until, venvs};
use crate::load::{Target, get};
use crate::pair::{NAMES, Pair, change, example};

/// One edge program with one of the examples.
#[derive(Debug)]
pub struct Edge {
    /// For the table.
    pub name: &'static str,
    /// `preset` of `[edge]`.
    pub preset: &'static str,
    /// Whether it asks the servers for their health.
    pub checks: bool,
    example: &'static str,
    /// What is otherwise than in the example; `ADDRESS`, `HOST` and `PORT` are where it listens.
    changes: &'static [(&'static str, &'static str)],
    command: fn(&Path, SocketAddr, &str) -> Command,
}

const NGINX_LISTENS: (&str, &str) = ("listen 80;", "listen ADDRESS;");
const HAPROXY_LISTENS: (&str, &str) = ("bind :80", "bind ADDRESS");

/// Debian's nginx.
pub const NGINX: Edge = Edge {
    name: "nginx (Debian's)",
    preset: "nginx",
    checks: false,
    example: "nginx.conf",
    changes: &[NGINX_LISTENS],
    command: |folder, _, text| nginx(installed("nginx"), folder, text),
};

/// A newer one.
pub const NGINX_CURRENT: Edge = Edge {
    name: "nginx (1.31)",
    command: |folder, _, text| nginx(from_venv("nginx"), folder, text),
    ..NGINX
};

/// Debian's without the line that makes up for missing checks.
pub const NGINX_ALONE: Edge = Edge {
    name: "nginx, next_upstream off",
    changes: &[
        NGINX_LISTENS,
        ("proxy_next_upstream error timeout http_502 http_503;", "proxy_next_upstream off;"),
    ],
    ..NGINX
};

/// HAProxy asking `/readyz`.
pub const HAPROXY: Edge = Edge {
    name: "HAProxy, HTTP check",
    preset: "haproxy",
    checks: true,
    example: "haproxy.cfg",
    changes: &[HAPROXY_LISTENS, ("inter 2s", "inter 200ms")],
    command: haproxy,
};

/// HAProxy asking the agent.
pub const HAPROXY_AGENT: Edge = Edge {
    name: "HAProxy, agent check",
    preset: "haproxy-agent",
    checks: true,
    example: "haproxy-agent.cfg",
    changes: &[HAPROXY_LISTENS, ("agent-inter 1s", "agent-inter 200ms"), (" inter 2s", " inter 200ms")],
    command: haproxy,
};

/// Traefik.
pub const TRAEFIK: Edge = Edge {
    name: "Traefik",
    preset: "traefik",
    checks: true,
    example: "traefik.yml",
    changes: &[
        ("interval: 30s", "interval: 200ms"),
        ("timeout: 5s", "timeout: 190ms"),
        ("Host(`shop.example.com`)", "PathPrefix(`/`)"),
    ],
    command: traefik,
};

/// Caddy.
pub const CADDY: Edge = Edge {
    name: "Caddy",
    preset: "caddy",
    checks: true,
    example: "Caddyfile",
    changes: &[
        ("health_interval 30s", "health_interval 200ms"),
        // Any name, and no certificate.
        ("shop.example.com {", "http://:PORT {\n\tbind HOST"),
    ],
    command: caddy,
};

/// An edge that runs. Dropped, it is gone.
pub struct Front {
    child: Child,
    folder: TempDir,
    /// Where visitors find it.
    pub target: Target,
}

impl Front {
    /// Starts it, and waits until it sends visitors to both servers.
    pub fn start(edge: &Edge, pair: &Pair) -> Front {
        let folder = tempfile::tempdir().expect("/tmp is writable");
        let address = free_address();
        let text = edge.changes.iter().fold(pair.addressed(&example(edge.example)), |text, (from, to)| {
            let to = to.replace("ADDRESS", &address.to_string());
            let to = to.replace("HOST", &address.ip().to_string());
            change(&text, from, &to.replace("PORT", &address.port().to_string()))
        });
        let mut command = (edge.command)(folder.path(), address, &text);
        let log = File::create(folder.path().join("log")).expect("the folder is ours");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor is free")).stderr(log);
        command.current_dir(&folder);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut front = Front { child, folder, target: Target::Tcp(address) };
        until("the edge answers", || {
            let ended = front.child.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "the edge ended at once, {ended:?}:\n{}", front.log());
            get(&front.target, "/").ok().filter(|response| response.status == 200)
        });
        front.reaches(&NAMES);
        front
    }

    /// Waits until exactly these servers answer a dozen visitors.
    #[track_caller]
    pub fn reaches(&self, names: &[&str]) {
        let wanted: BTreeSet<String> = names.iter().map(|&name| name.to_owned()).collect();
        until(format!("the edge sends visitors to {names:?}"), || {
            let answered: Option<BTreeSet<String>> = (0..12).map(|_| self.who_answers()).collect();
            (answered.as_ref() == Some(&wanted)).then_some(())
        });
    }

    fn who_answers(&self) -> Option<String> {
        let body = get(&self.target, "/").ok()?.text();
        body.split(' ').nth(1).map(str::to_owned)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the edge's log\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that does not outlive the tests, however they end.
pub fn mortal(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

fn nginx(program: PathBuf, folder: &Path, text: &str) -> Command {
    let main = "daemon off; master_process off; pid nginx.pid;\nevents {}\nhttp {\n    access_log off;\n    \
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n    \
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n    include shop.conf;\n}\n";
    write(folder, "nginx.conf", main);
    write(folder, "shop.conf", text);
    let mut command = mortal(program);
    command.arg("-p").arg(folder).args(["-e", "stderr", "-c", "nginx.conf"]);
    command
}

fn haproxy(folder: &Path, _: SocketAddr, text: &str) -> Command {
    write(folder, "global.cfg", "global\n    maxconn 200\n");
    write(folder, "shop.cfg", text);
    let mut command = mortal(installed("haproxy"));
    command.args(["-db", "-f", "global.cfg", "-f", "shop.cfg"]);
    command
}

fn traefik(folder: &Path, address: SocketAddr, text: &str) -> Command {
    write(folder, "shop.yml", text);
    let mut command = mortal(from_venv("traefik"));
    command.arg(format!("--entrypoints.web.address={address}"));
    command.args([
        "--providers.file.filename=shop.yml",
        "--global.checknewversion=false",
        "--log.level=INFO",
    ]);
    command
}

fn caddy(folder: &Path, _: SocketAddr, text: &str) -> Command {
    write(folder, "Caddyfile", &format!("{{\n\tadmin off\n}}\n{text}"));
    let mut command = mortal(from_venv("caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]);
    command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    command
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("the folder is ours");
}

/// A program of the distribution's.
pub fn installed(name: &str) -> PathBuf {
    let found = ["/usr/sbin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
    let found = found.into_iter().find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed: run `bash tests/setup.sh` first"))
}

fn from_venv(name: &str) -> PathBuf {
    let program = venvs().join("edge/bin").join(name);
    assert!(program.exists(), "{} is missing: run `bash tests/venvs.sh` first", program.display());
    program
}
