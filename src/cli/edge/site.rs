//! What every program needs to know of an app, decided once: names, servers, checks, connections, times.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::program::{Program, Proxy};
use super::servers::{Server, check_port, servers};
use super::text::Text;
use super::times::{reuse, wait};
use super::trust;
use super::wanted::{Host, Tls, Wanted, is_host};
use crate::config::words;
use crate::control::protocol::no_such_app;
use crate::plan::{Served, ServedApp, WorkerClass};

/// Everything to be printed.
pub(super) struct Scene<'a> {
    program: &'static Program,
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

impl Site<'_> {
    /// The folders that this edge serves itself.
    pub(super) fn folders<'s>(&'s self, scene: &Scene<'_>) -> Vec<(&'s str, &'s Path)> {
        let here = scene.wanted.own.is_none();
        let all = self.app.static_files.iter().filter(|_| here);
        all.map(|(prefix, folder)| (prefix.as_str(), folder.as_path())).collect()
    }

    /// Whether a worker is busy for as long as a client takes to send his request.
    pub(super) fn waits_for_bodies(&self) -> bool {
        self.app.class.is_some_and(WorkerClass::answers_one)
    }

    /// The path of the checks.
    pub(super) fn check_path(&self) -> String {
        format!("/readyz/{}", self.app.name)
    }
}

impl<'a> Scene<'a> {
    /// All that is asked for, or why that cannot be.
    pub(super) fn new(
        program: &'static Program,
        proxy: &Proxy,
        served: &'a Served,
        wanted: &'a Wanted,
    ) -> Result<Scene<'a>, String> {
        let apps = chosen(served, wanted)?;
        let mut warnings = Vec::new();
        let mut sites = Vec::new();
        for app in &apps {
            sites.push(site(program, proxy, served, wanted, app, apps.len(), &mut warnings)?);
        }
        let mut taken = BTreeSet::new();
        for site in &sites {
            if let Some(host) = site.hosts.iter().find(|host| !taken.insert(host.as_str())) {
                return Err(format!(
                    "{host} would be two sites: give each app names of its own with --host APP=NAME"
                ));
            }
        }
        let check_every = wanted.check_every.or(program.check_every).unwrap_or_default();
        let needed = (proxy.notices)(check_every);
        if sites.iter().any(|site| site.check_port.is_some()) && served.delay < needed {
            let remedy = match wanted.check_every {
                None => format!("preset = \"{}\"", proxy.preset),
                Some(_) => format!("delay = \"{}\"", words(needed)),
            };
            warnings.push(format!(
                "a server that drains goes on serving for {}, and {} takes up to {} to notice: set {remedy} in [edge] of \
                 the main file, on every server",
                words(served.delay),
                program.name,
                words(needed)
            ));
        }
        Ok(Scene { program, wanted, served, sites, check_every, warnings })
    }

    /// The first lines of the file: where it belongs, where it comes from, how it comes into force, what does not fit.
    pub(super) fn head(&self, out: &mut Text, place: &str, command: Option<&str>) {
        out.note(place);
        out.note(&format!(
            "Printed by `ostler edge {}`, {}. Print it again when that changes.",
            self.program.word, self.wanted.source
        ));
        if let Some(command) = command {
            out.command(command);
        }
        for warning in &self.warnings {
            out.note(&format!("WARNING: {warning}"));
        }
    }

    /// Whether clients come over TLS.
    pub(super) fn tls(&self) -> bool {
        self.wanted.tls != Tls::Off
    }

    /// The `Host` of a client's URL has its port where that is not the scheme's own.
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
    program: &Program,
    proxy: &Proxy,
    served: &Served,
    wanted: &Wanted,
    app: &'a ServedApp,
    apps: usize,
    warnings: &mut Vec<String>,
) -> Result<Site<'a>, String> {
    let hosts = hosts(app, wanted);
    let is_named = !hosts.is_empty() || (proxy.without_sites)(wanted);
    if !is_named && (apps > 1 || wanted.tls == Tls::Automatic) {
        let why = if apps > 1 { "each app needs one" } else { "a certificate needs one" };
        let name = &app.name;
        let option =
            if apps > 1 { format!("{name}={name}.example.com") } else { "shop.example.com".to_owned() };
        return Err(format!("{name}: no name of the site is known, and {why}: say --host {option}"));
    }
    let servers = servers(program, proxy, served, wanted, app)?;
    let check_port = match servers.len() {
        1 => None,
        _ if program.check_every.is_none() => None,
        _ => check_port(proxy, served, wanted, &servers, warnings),
    };
    let (reuse, reuse_note) = reuse(proxy.preset, app);
    let (wait, wait_note) = wait(app);
    let (trust_note, distrust) = trust::of(app, wanted, &servers);
    warnings.extend(distrust);
    let websockets = app.class.is_some_and(|class| class.traits().has_websockets);
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
