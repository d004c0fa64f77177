//! Traefik 3: a file of its file provider, and its own file.

use std::time::Duration;

use serde_json::Value;

use super::program::{File, Paths, Program, Proxy};
use super::site::{Scene, Site};
use super::text::{self, NO_CHECK, Text};
use super::times::{check_timeout, noticed_at_once};
use super::wanted::{Tls, Wanted};
use crate::config::{Preset, words};
use crate::plan::Served;

pub(super) static PROGRAM: Program = Program {
    word: "traefik",
    name: "Traefik",
    prints: "A file of its file provider, or with --main its own",
    examples: &[
        "traefik --main --email ops@example.com >/etc/traefik/traefik.yml",
        "traefik --peer 10.0.0.2 >/etc/traefik/dynamic/ostler.yml",
    ],
    check_every: Some(Duration::from_secs(30)),
    paths: Paths { never: &["{{"], always_quoted: true, quote: quoted },
    proxy: Some(&PROXY),
    print,
};

static PROXY: Proxy = Proxy {
    preset: Preset::Traefik,
    certbot: false,
    unix: |_| Some("reach"),
    notices: noticed_at_once,
    asks_elsewhere: false,
    without_sites: |wanted| wanted.special.traefik.main,
};

fn print(served: &Served, wanted: &Wanted) -> Result<File, String> {
    let scene = Scene::new(&PROGRAM, &PROXY, served, wanted)?;
    let (place, text) = match wanted.special.traefik.main {
        true => ("/etc/traefik/traefik.yml", main(&scene)?),
        false => ("/etc/traefik/dynamic/ostler.yml", provided(&scene)?),
    };
    Ok(File { place, text, warnings: scene.warnings })
}

/// The file provider's.
fn provided(scene: &Scene<'_>) -> Result<String, String> {
    let mut out = Text::new("  ");
    let folder = folder(scene)?;
    scene.head(&mut out, &format!("{}/dynamic/ostler.yml", folder.trim_matches('"')), None);
    out.note(
        "Traefik takes it as soon as it is saved. Its own file is printed by `ostler edge traefik --main`.",
    );
    out.gap();
    out.open("http:");
    out.open("routers:");
    for site in &scene.sites {
        router(&mut out, scene, site);
    }
    out.close("");
    out.open("services:");
    for site in &scene.sites {
        service(&mut out, scene, site);
    }
    out.close("");
    out.open("serversTransports:");
    for site in &scene.sites {
        out.open(format!("{}:", quoted(&site.ident)));
        out.note(&site.reuse_note);
        if site.reuse.is_none() {
            out.line("maxIdleConnsPerHost: -1");
        }
        out.open("forwardingTimeouts:");
        out.line("dialTimeout: 2s");
        out.note(&site.wait_note);
        out.line(format!("responseHeaderTimeout: {}", words(site.wait)));
        if let Some(reuse) = site.reuse {
            out.line(format!("idleConnTimeout: {}", words(reuse)));
        }
        out.close("");
        out.close("");
    }
    out.close("");
    middlewares(&mut out, scene);
    out.close("");
    if let Tls::Files { cert, key } = &scene.wanted.tls {
        let key = key.as_ref().unwrap_or(cert);
        out.gap();
        out.open("tls:");
        out.open("certificates:");
        let cert = text::path(&PROGRAM, "the certificate", &cert.to_string_lossy())?;
        out.line(format!("- certFile: {cert}"));
        out.line(format!("  keyFile: {}", text::path(&PROGRAM, "the key", &key.to_string_lossy())?));
        out.close("");
        out.close("");
    }
    Ok(out.finish())
}

/// Traefik's own.
fn main(scene: &Scene<'_>) -> Result<String, String> {
    let mut out = Text::new("  ");
    let (wanted, folder) = (scene.wanted, folder(scene)?);
    let inner = folder.trim_matches('"').to_owned();
    scene.head(&mut out, &format!("{inner}/traefik.yml"), None);
    out.note(
        "A change of it takes a restart of Traefik. What it leads to is printed by `ostler edge traefik`.",
    );
    out.gap();
    out.open("global:");
    out.line("checkNewVersion: false");
    out.line("sendAnonymousUsage: false");
    out.close("");
    out.open("providers:");
    out.open("file:");
    out.line(format!("directory: {}", quoted(&format!("{inner}/dynamic"))));
    out.line("watch: true");
    out.close("");
    out.close("");
    out.open("entryPoints:");
    let address = |port: u16| match wanted.listen {
        Some(ip) => std::net::SocketAddr::new(ip, port).to_string(),
        None => format!(":{port}"),
    };
    for (name, port, redirects) in
        [("web", wanted.http_port, scene.tls()), ("websecure", wanted.https_port, false)]
    {
        if name == "websecure" && !scene.tls() {
            continue;
        }
        out.open(format!("{name}:"));
        out.line(format!("address: {}", quoted(&address(port))));
        if let Some(cdn) = wanted.cdn {
            out.note(
                "What these networks say of a client is believed, and nobody else: X-Forwarded-For then has him, as the last \
                 address that the CDN has added. Traefik does not read a CDN's own header.",
            );
            out.open("forwardedHeaders:");
            out.line(format!("trustedIPs: {}", list(cdn.networks())));
            out.close("");
        }
        if redirects {
            out.open("http:");
            out.open("redirections:");
            out.open("entryPoint:");
            out.line(format!(
                "to: {}",
                quoted(&if wanted.https_port == 443 {
                    "websecure".to_owned()
                } else {
                    format!(":{}", wanted.https_port)
                })
            ));
            out.line("scheme: https");
            out.close("");
            out.close("");
            out.close("");
        }
        out.close("");
    }
    out.close("");
    if wanted.tls == Tls::Automatic {
        out.note("Certificates come from Let's Encrypt by themselves. The file has their keys: Traefik wants mode 600.");
        out.open("certificatesResolvers:");
        out.open("letsencrypt:");
        out.open("acme:");
        match &wanted.email {
            Some(email) => out.line(format!("email: {}", quoted(email))),
            None => out.note("`ostler edge traefik --main --email` says whom to warn before one expires."),
        }
        out.line(format!("storage: {}", quoted(&format!("{inner}/acme.json"))));
        out.open("httpChallenge:");
        out.line("entryPoint: web");
        out.close("");
        out.close("");
        out.close("");
        out.close("");
    }
    Ok(out.finish())
}

fn folder(scene: &Scene<'_>) -> Result<String, String> {
    text::path(
        &PROGRAM,
        "the folder",
        scene.wanted.special.traefik.folder.to_string_lossy().trim_end_matches('/'),
    )
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn list(items: &[&str]) -> String {
    Value::from(items.to_vec()).to_string()
}

fn router(out: &mut Text, scene: &Scene<'_>, site: &Site<'_>) {
    let rules: Vec<String> = site
        .hosts
        .iter()
        .map(|host| match host.strip_prefix("*.") {
            Some(end) => format!("HostRegexp(`^[^.]+\\.{}$`)", end.replace('.', "\\.")),
            None => format!("Host(`{host}`)"),
        })
        .collect();
    let rule = if rules.is_empty() { "PathPrefix(`/`)".to_owned() } else { rules.join(" || ") };
    out.open(format!("{}:", quoted(&site.ident)));
    out.line(format!("rule: {}", quoted(&rule)));
    out.line(format!("entryPoints: {}", list(&[if scene.tls() { "websecure" } else { "web" }])));
    out.line(format!("service: {}", quoted(&site.ident)));
    // A request that becomes a websocket cannot be kept back until its body is there.
    let all = ["ostler-gzip", "ostler-body"];
    out.line(format!("middlewares: {}", list(if site.websockets { &all[..1] } else { &all })));
    match scene.wanted.tls {
        Tls::Off => {}
        Tls::Files { .. } => out.line("tls: {}"),
        Tls::Automatic => {
            out.open("tls:");
            out.line("certResolver: letsencrypt");
            out.close("");
        }
    }
    out.close("");
    if site.websockets {
        out.open(format!("{}:", quoted(&format!("{}-body", site.ident))));
        out.note("The same for whatever is no websocket: these have a body, which is measured.");
        out.line(format!("rule: {}", quoted(&format!("({rule}) && !HeaderRegexp(`Upgrade`, `.+`)"))));
        out.line(format!("entryPoints: {}", list(&[if scene.tls() { "websecure" } else { "web" }])));
        out.line("priority: 1000");
        out.line(format!("service: {}", quoted(&site.ident)));
        out.line(format!("middlewares: {}", list(&all)));
        match scene.wanted.tls {
            Tls::Off => {}
            Tls::Files { .. } => out.line("tls: {}"),
            Tls::Automatic => {
                out.open("tls:");
                out.line("certResolver: letsencrypt");
                out.close("");
            }
        }
        out.close("");
    }
}

fn service(out: &mut Text, scene: &Scene<'_>, site: &Site<'_>) {
    out.open(format!("{}:", quoted(&site.ident)));
    out.open("loadBalancer:");
    out.note(
        "Traefik sets X-Forwarded-For, -Proto and -Host itself, and believes no client who sends his own.",
    );
    out.note(&site.trust_note);
    if !site.app.static_files.is_empty() {
        let prefixes: Vec<&str> = site.app.static_files.keys().map(String::as_str).collect();
        out.note(&format!(
            "Traefik serves no files, so what is below {} goes to the app: have them served by WhiteNoise (with \
             ManifestStaticFilesStorage it says `immutable` for names with a hash), or by an nginx beside.",
            prefixes.join(" and ")
        ));
    }
    out.line(format!("serversTransport: {}", quoted(&site.ident)));
    out.open("servers:");
    for server in &site.servers {
        out.line(format!("- url: {}", quoted(&format!("http://{}", server.at))));
    }
    out.close("");
    match site.check_port {
        Some(port) => {
            out.note(
                "ostlerd answers, not a worker: 503 from the moment in which the server begins to drain.",
            );
            out.open("healthCheck:");
            out.line(format!("path: {}", quoted(&site.check_path())));
            out.line(format!("port: {port}"));
            out.line(format!("interval: {}", words(scene.check_every)));
            out.line(format!("timeout: {}", words(check_timeout(scene.check_every))));
            out.close("");
        }
        None if site.servers.len() == 1 => out.note(NO_CHECK),
        None => {}
    }
    out.close("");
    out.close("");
}

fn middlewares(out: &mut Text, scene: &Scene<'_>) {
    out.open("middlewares:");
    out.open("ostler-gzip:");
    out.line("compress: {}");
    out.close("");
    out.open("ostler-body:");
    out.note(
        "More is refused with 413. Traefik reads the whole body for that, what is over 1 MiB into a file.",
    );
    out.open("buffering:");
    out.line(format!("maxRequestBodyBytes: {}", scene.wanted.max_body));
    out.close("");
    out.close("");
    out.close("");
}
