//! What every program needs to know of an app, decided once: names, servers, checks, connections, times.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Program;
use super::times::{checks, preset_of, reuse, wait};
use super::trust;
use super::wanted::{Host, Tls, Wanted, is_host};
use crate::config::{Address, words};
use crate::control::protocol::no_such_app;
use crate::plan::{Served, ServedApp, WorkerClass};

/// Everything to be printed.
pub(super) struct Scene<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) served: &'a Served,
    pub(super) sites: Vec<Site<'a>>,
    /// From one check to the next.
    pub(super) check_every: Duration,
    /// What does not fit; sentences.
    pub(super) warnings: Vec<String>,
}

/// An app.
pub(super) struct Site<'a> {
    pub(super) app: &'a ServedApp,
    /// What it is called in the file.
    pub(super) ident: String,
    /// Its names; none is any.
    pub(super) hosts: Vec<String>,
    pub(super) servers: Vec<Server>,
    /// The port at which each server answers checks; `None` where nobody is asked.
    pub(super) check_port: Option<u16>,
    /// How long an idle connection to a worker may be used again; `None` is never.
    pub(super) reuse: Option<Duration>,
    /// Why so.
    pub(super) reuse_note: String,
    /// How long an answer may take.
    pub(super) wait: Duration,
    pub(super) wait_note: String,
    pub(super) websockets: bool,
    /// What the worker makes of the headers.
    pub(super) trust_note: String,
}

/// One of its servers.
pub(super) struct Server {
    pub(super) at: At,
    /// Where its health is answered, if that is elsewhere than its app.
    pub(super) health: Option<IpAddr>,
}

/// Where a server is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum At {
    Unix(PathBuf),
    Tcp(String, u16),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Unix(path) => write!(f, "unix:{}", path.display()),
            At::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            At::Tcp(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

impl Site<'_> {
    /// The folders that this edge serves itself.
    pub(super) fn folders<'s>(&'s self, scene: &Scene<'_>) -> Vec<(&'s str, &'s Path)> {
        let here = scene.wanted.own.is_none();
        let all = self.app.static_files.iter().filter(|_| here);
        all.map(|(prefix, folder)| (prefix.as_str(), folder.as_path())).collect()
    }

    /// Whether a worker is busy for as long as a visitor takes to send his request.
    pub(super) fn waits_for_bodies(&self) -> bool {
        self.app.class == Some(WorkerClass::Sync)
    }

    /// The path of the checks.
    pub(super) fn check_path(&self) -> String {
        format!("/readyz/{}", self.app.name)
    }
}

impl<'a> Scene<'a> {
    /// All that is asked for, or why that cannot be.
    pub(super) fn new(program: Program, served: &'a Served, wanted: &'a Wanted) -> Result<Scene<'a>, String> {
        let apps = chosen(served, wanted)?;
        let mut warnings = Vec::new();
        let mut sites = Vec::new();
        for app in &apps {
            sites.push(site(program, served, wanted, app, apps.len(), &mut warnings)?);
        }
        let mut taken = BTreeSet::new();
        for site in &sites {
            if let Some(host) = site.hosts.iter().find(|host| !taken.insert(host.as_str())) {
                return Err(format!(
                    "{host} would be two sites: give each app names of its own with --host APP=NAME"
                ));
            }
        }
        let (usual, needed) = checks(program, wanted);
        if sites.iter().any(|site| site.check_port.is_some()) && served.delay < needed {
            let preset = if wanted.check_every.is_none() { preset_of(program) } else { None };
            let remedy = preset.map_or_else(
                || format!("delay = \"{}\"", words(needed)),
                |preset| format!("preset = \"{}\"", preset.name()),
            );
            warnings.push(format!(
                "a server that drains goes on serving for {}, and {} takes up to {} to notice: set {remedy} in [edge] of \
                 the main file, on every server",
                words(served.delay),
                program.name(),
                words(needed)
            ));
        }
        Ok(Scene { wanted, served, sites, check_every: usual, warnings })
    }

    /// Whether visitors come over TLS.
    pub(super) fn tls(&self) -> bool {
        self.wanted.tls != Tls::Off
    }

    /// The `Host` of a visitor's URL has its port where that is not the scheme's own.
    pub(super) fn odd_port(&self) -> bool {
        let (port, own) =
            if self.tls() { (self.wanted.https_port, 443) } else { (self.wanted.http_port, 80) };
        port != own
    }
}

fn chosen<'a>(served: &'a Served, wanted: &Wanted) -> Result<Vec<&'a ServedApp>, String> {
    let apps: Vec<&ServedApp> = match &wanted.app {
        None => served.apps.iter().collect(),
        Some(name) => match served.apps.iter().find(|app| app.name.as_str() == name) {
            Some(app) => vec![app],
            None => return Err(no_such_app(name, served.apps.iter().map(|app| &app.name))),
        },
    };
    if apps.is_empty() {
        return Err("no app is served here: write a file in apps.d first".to_owned());
    }
    for Host { app, name } in &wanted.hosts {
        match app {
            None if apps.len() > 1 => {
                return Err(format!(
                    "--host {name} is of which app? write --host APP={name}, or name one app"
                ));
            }
            Some(app) if !apps.iter().any(|it| it.name == *app) => {
                return Err(no_such_app(app.as_str(), served.apps.iter().map(|app| &app.name)));
            }
            _ => {}
        }
    }
    let ports = wanted.peers.iter().chain(&wanted.own).find(|peer| peer.port.is_some());
    match ports {
        Some(peer) if apps.len() > 1 => Err(format!(
            "the port of {} is of which app? leave it out (each app's own is used), or name one app",
            peer.host
        )),
        _ => Ok(apps),
    }
}

fn site<'a>(
    program: Program,
    served: &Served,
    wanted: &Wanted,
    app: &'a ServedApp,
    apps: usize,
    warnings: &mut Vec<String>,
) -> Result<Site<'a>, String> {
    let hosts = hosts(app, wanted);
    // Traefik's own file has no sites.
    if hosts.is_empty() && !wanted.main && (apps > 1 || wanted.tls == Tls::Automatic) {
        let why = if apps > 1 { "each app needs one" } else { "a certificate needs one" };
        let name = &app.name;
        let option =
            if apps > 1 { format!("{name}={name}.example.com") } else { "shop.example.com".to_owned() };
        return Err(format!("{name}: no name of the site is known, and {why}: say --host {option}"));
    }
    let servers = servers(program, served, wanted, app)?;
    let check_port = match servers.len() {
        1 => None,
        _ if program == Program::Nginx => None,
        _ => check_port(program, served, wanted, &servers, warnings),
    };
    let (reuse, reuse_note) = reuse(program, app);
    let (wait, wait_note) = wait(app);
    let (trust_note, distrust) = trust::of(app, wanted, &servers);
    warnings.extend(distrust);
    let websockets = matches!(app.class, Some(WorkerClass::Asgi | WorkerClass::Uvicorn));
    let ident = format!("ostler-{}", app.name);
    Ok(Site {
        app,
        ident,
        hosts,
        servers,
        check_port,
        reuse,
        reuse_note,
        wait,
        wait_note,
        websockets,
        trust_note,
    })
}

/// What the command line says, else what the probe asks for.
fn hosts(app: &ServedApp, wanted: &Wanted) -> Vec<String> {
    let said = wanted.hosts.iter().filter(|host| host.app.as_ref().is_none_or(|name| *name == app.name));
    let mut hosts: Vec<String> = said.map(|host| host.name.clone()).collect();
    if hosts.is_empty() {
        let host = app.host.as_deref().unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        hosts.extend(is_host(&name).then_some(name));
    }
    let mut seen = BTreeSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts
}

fn servers(
    program: Program,
    served: &Served,
    wanted: &Wanted,
    app: &ServedApp,
) -> Result<Vec<Server>, String> {
    let name = &app.name;
    let tcp: Vec<SocketAddr> = app.listen.iter().filter_map(tcp_of).collect();
    let port = |port: Option<u16>| {
        port.or(tcp.first().map(SocketAddr::port)).ok_or_else(|| {
            format!("{name} listens on no TCP port, which other machines could reach: add one to its `listen`, or write HOST:PORT")
        })
    };
    let unix = app.listen.iter().find_map(|address| match address {
        Address::Unix(path) => Some(path.clone()),
        _ => None,
    });
    // Traefik has no Unix sockets, and Caddy asks for health at the address of the server.
    let takes_unix = match program {
        Program::Traefik => false,
        Program::Caddy => wanted.peers.is_empty(),
        _ => true,
    };
    let own_health =
        served.health.iter().filter_map(tcp_of).map(|it| it.ip()).find(|ip| !ip.is_unspecified());
    let own = match (&wanted.own, unix, near(&tcp, own_health)) {
        (Some(peer), _, _) => Server { at: At::Tcp(peer.host.clone(), port(peer.port)?), health: None },
        (None, Some(path), _) if takes_unix => {
            let health = Some(own_health.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
            Server { at: At::Unix(path), health }
        }
        (None, _, Some(address)) => Server {
            at: At::Tcp(address.ip().to_string(), address.port()),
            health: own_health.filter(|ip| *ip != address.ip()),
        },
        (None, Some(_), None) => {
            return Err(format!(
                "{name} listens on Unix sockets alone, which {} cannot {}: add an address such as \"127.0.0.1:8000\" to its \
                 `listen`",
                program.name(),
                if program == Program::Traefik { "reach" } else { "check beside other servers" }
            ));
        }
        (None, None, None) if app.listen.iter().any(|it| matches!(it, Address::Systemd(_))) => {
            return Err(format!(
                "{name} listens where systemd says, which a running ostlerd alone knows: leave --config out"
            ));
        }
        (None, None, None) => {
            return Err(format!("{name} has no listener that is known: add `listen` to its file"));
        }
    };
    let mut servers = vec![own];
    for peer in &wanted.peers {
        let at = At::Tcp(peer.host.clone(), port(peer.port)?);
        let own = tcp.iter().any(|it| at == At::Tcp(it.ip().to_string(), it.port()));
        if own || servers.iter().any(|server| server.at == at) {
            return Err(format!(
                "{at} is this server, or named twice: --peer is for the other ones, --self for this one"
            ));
        }
        servers.push(Server { at, health: None });
    }
    Ok(servers)
}

fn tcp_of(address: &Address) -> Option<SocketAddr> {
    match address {
        Address::Tcp(address) => Some(*address),
        Address::Unix(_) | Address::Systemd(_) => None,
    }
}

/// The address at which this machine itself finds the app: that of its health, where both are the same.
fn near(listen: &[SocketAddr], health: Option<IpAddr>) -> Option<SocketAddr> {
    let same = listen.iter().find(|address| Some(address.ip()) == health);
    let mut address = **same.as_ref().or(listen.first().as_ref())?;
    if address.ip().is_unspecified() {
        let own = health.filter(|ip| ip.is_ipv4() == address.is_ipv4()).unwrap_or(match address.is_ipv4() {
            true => IpAddr::V4(Ipv4Addr::LOCALHOST),
            false => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
        address.set_ip(own);
    }
    Some(address)
}

/// Where every server is asked. Servers are taken to be configured alike.
fn check_port(
    program: Program,
    served: &Served,
    wanted: &Wanted,
    servers: &[Server],
    warnings: &mut Vec<String>,
) -> Option<u16> {
    let asked: Vec<SocketAddr> = served.health.iter().filter_map(tcp_of).collect();
    let Some(first) = asked.iter().find(|it| !it.ip().is_loopback()).or(asked.first()) else {
        let warning = "no server is checked, for health is answered on no TCP port: set listen = [\"0.0.0.0:9180\"], or \
                       better the server's own address, in [health] of the main file, on every server, restart ostlerd \
                       there, and print this again";
        push_once(warnings, warning.to_owned());
        return None;
    };
    let mut others = wanted.peers.iter().chain(&wanted.own);
    if asked.iter().all(|it| it.ip().is_loopback())
        && others.any(|peer| peer.ip().is_none_or(|ip| !ip.is_loopback()))
    {
        push_once(
            warnings,
            format!(
                "health is answered on {first} alone, where no other machine can ask, so these checks fail for the other servers: \
             set listen = [\"ADDRESS:{}\", \"{first}\"] with the server's own address in [health] of the main file, on \
             every server, and `systemctl restart ostler` there",
                first.port()
            ),
        );
    }
    if let Some(server) = servers.iter().find(|server| server.health.is_some())
        && program != Program::Haproxy
    {
        push_once(
            warnings,
            format!(
                "{} is asked for its health at its own address, where health does not listen: add {}:{} to listen of [health] in \
             the main file",
                server.at,
                match &server.at {
                    At::Tcp(host, _) => host,
                    At::Unix(_) => "127.0.0.1",
                },
                first.port()
            ),
        );
    }
    Some(first.port())
}

fn push_once(warnings: &mut Vec<String>, warning: String) {
    if !warnings.contains(&warning) {
        warnings.push(warning);
    }
}
