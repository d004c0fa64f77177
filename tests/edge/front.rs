//! The programs that stand in front: how each is started with what `ostler edge` prints, and stopped without a trace.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::harness::{Said, Site, free_address, is_root, until, venvs};
use crate::load::{Target, get};
use crate::pair::change;

/// One edge program, and what is printed for it.
#[derive(Debug)]
pub struct Edge {
    /// For the table.
    pub name: &'static str,
    /// `preset` of `[edge]`.
    pub preset: &'static str,
    /// How often it asks the servers for their health. Who takes one failure for all gets more time for an answer: on a
    /// busy machine it may have to wait for a processor.
    pub checks: Option<&'static str>,
    /// Whether HAProxy asks the agent as well.
    pub agent: bool,
    /// `ostler edge …`
    pub verb: &'static str,
    /// What is otherwise than printed, as a person would change it.
    changes: &'static [(&'static str, &'static str)],
    command: fn(&Place<'_>) -> Command,
}

/// Debian's nginx.
pub const NGINX: Edge = Edge {
    name: "nginx (Debian's)",
    preset: "nginx",
    checks: None,
    agent: false,
    verb: "nginx",
    changes: &[],
    command: |place| nginx(installed("nginx"), place),
};

/// A newer one.
pub const NGINX_CURRENT: Edge =
    Edge { name: "nginx (1.31)", command: |place| nginx(from_venv("nginx"), place), ..NGINX };

/// Debian's without the line that makes up for missing checks.
pub const NGINX_ALONE: Edge = Edge {
    name: "nginx, next_upstream off",
    changes: &[("proxy_next_upstream error timeout http_502 http_503;", "proxy_next_upstream off;")],
    ..NGINX
};

/// HAProxy asking `/readyz/shop`.
pub const HAPROXY: Edge = Edge {
    name: "HAProxy, HTTP check",
    preset: "haproxy",
    checks: Some("200ms"),
    agent: false,
    verb: "haproxy",
    changes: &[],
    command: haproxy,
};

/// HAProxy asking the agent.
pub const HAPROXY_AGENT: Edge =
    Edge { name: "HAProxy, agent check", preset: "haproxy-agent", agent: true, ..HAPROXY };

/// Traefik.
pub const TRAEFIK: Edge = Edge {
    name: "Traefik",
    preset: "traefik",
    checks: Some("1s"),
    agent: false,
    verb: "traefik",
    changes: &[],
    command: traefik,
};

/// Caddy.
pub const CADDY: Edge = Edge {
    name: "Caddy",
    preset: "caddy",
    checks: Some("1s"),
    agent: false,
    verb: "caddy",
    changes: &[],
    command: caddy,
};

/// Where an edge is started, and with what.
pub struct Place<'a> {
    folder: &'a Path,
    address: SocketAddr,
    text: &'a str,
    /// Traefik's own file.
    main: Option<String>,
}

/// An edge that runs. Dropped, it is gone.
pub struct Front {
    child: Child,
    folder: TempDir,
    /// What was printed.
    pub text: String,
    /// Where clients find it.
    pub target: Target,
}

impl Front {
    /// Prints the edge's configuration with these options, checks it as the program itself does, and starts it, on
    /// an address of its own. Plain HTTP is on the target's port, TLS on the one above.
    pub fn start(edge: &Edge, site: &Site, options: &[&str]) -> Front {
        let folder = tempfile::tempdir().expect("/tmp is writable");
        let address = free_address();
        let https = address.port() + 10_000;
        let own = [
            "--listen".to_owned(),
            address.ip().to_string(),
            "--http-port".to_owned(),
            address.port().to_string(),
            "--https-port".to_owned(),
            https.to_string(),
            "--folder".to_owned(),
            folder.path().display().to_string(),
        ];
        let print = |more: &[&str]| {
            let mut command = site.ostler_command(&["edge", edge.verb]);
            command.args(&own).args(options).args(more);
            Said::of(&mut command).exits(0).out
        };
        let text = edge.changes.iter().fold(print(&[]), |text, (from, to)| change(&text, from, to));
        let main = (edge.verb == "traefik").then(|| print(&["--main"]));
        let mut command = (edge.command)(&Place { folder: folder.path(), address, text: &text, main });
        let log = File::create(folder.path().join("log")).expect("the folder is ours");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor is free")).stderr(log);
        command.current_dir(&folder);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut front = Front { child, folder, text, target: Target::Tcp(address) };
        until("the edge answers", || {
            let ended = front.child.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "the edge ended at once, {ended:?}:\n{}\n{}", front.log(), front.text);
            // With TLS it sends clients there.
            get(&front.target, "/").ok().filter(|response| [200, 301, 308].contains(&response.status))
        });
        front
    }

    /// Where it speaks TLS.
    pub fn https(&self) -> SocketAddr {
        let Target::Tcp(address) = self.target else { panic!("an edge listens on TCP") };
        SocketAddr::new(address.ip(), address.port() + 10_000)
    }

    /// Waits until exactly these servers answer a dozen clients.
    #[track_caller]
    pub fn reaches(&self, names: &[&str]) {
        let wanted: BTreeSet<String> = names.iter().map(|&name| name.to_owned()).collect();
        until(format!("the edge sends clients to {names:?}"), || {
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

/// The program's own judgement of its configuration.
#[track_caller]
fn accepted(mut command: Command, folder: &Path, text: &str) {
    let said = Said::of(command.stdin(Stdio::null()).current_dir(folder));
    assert_eq!(said.code, Some(0), "{command:?} refuses what was printed: {said}\n{text}");
}

fn nginx(program: PathBuf, place: &Place<'_>) -> Command {
    let main = "daemon off; master_process off; pid nginx.pid;\nevents {}\nhttp {\n    include /etc/nginx/mime.types;\n    access_log off;\n    \
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n    \
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n    include shop.conf;\n}\n";
    write(place.folder, "nginx.conf", main);
    write(place.folder, "shop.conf", place.text);
    let arguments = |mut command: Command| {
        command.arg("-p").arg(place.folder).args(["-e", "stderr", "-c", "nginx.conf"]);
        command
    };
    let mut check = arguments(Command::new(&program));
    check.arg("-t");
    accepted(check, place.folder, place.text);
    arguments(mortal(program))
}

fn haproxy(place: &Place<'_>) -> Command {
    let mut text = place.text.to_owned();
    if !is_root() {
        // Only root can become its user.
        text = change(&change(&text, "    user haproxy\n", ""), "    group haproxy\n", "");
    }
    write(place.folder, "haproxy.cfg", &text);
    let mut check = Command::new(installed("haproxy"));
    check.args(["-c", "-f", "haproxy.cfg"]);
    accepted(check, place.folder, &text);
    let mut command = mortal(installed("haproxy"));
    command.args(["-db", "-f", "haproxy.cfg"]);
    command
}

fn traefik(place: &Place<'_>) -> Command {
    let main = place.main.as_ref().expect("it is printed for Traefik");
    fs::create_dir(place.folder.join("dynamic")).expect("the folder is ours");
    write(place.folder, "traefik.yml", main);
    write(&place.folder.join("dynamic"), "ostler.yml", place.text);
    let mut command = mortal(from_venv("traefik"));
    command.arg("--configFile=traefik.yml");
    command
}

fn caddy(place: &Place<'_>) -> Command {
    write(place.folder, "Caddyfile", place.text);
    let surroundings = |mut command: Command| {
        for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(name, place.folder);
        }
        command.env("CADDY_ADMIN", SocketAddr::new(place.address.ip(), 2019).to_string());
        command
    };
    let mut check = surroundings(Command::new(from_venv("caddy")));
    check.args(["validate", "--adapter", "caddyfile", "--config", "Caddyfile"]);
    accepted(check, place.folder, place.text);
    let mut command = surroundings(mortal(from_venv("caddy")));
    command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]);
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

/// A program of the environment of edges.
pub fn from_venv(name: &str) -> PathBuf {
    let program = venvs().join("edge/bin").join(name);
    assert!(program.exists(), "{} is missing: run `bash tests/venvs.sh` first", program.display());
    program
}
