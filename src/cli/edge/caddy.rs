//! Caddy: a whole Caddyfile, for 2.7 and later.

use std::time::Duration;

use super::program::{File, Paths, Program, Proxy};
use super::servers::At;
use super::site::{Scene, Site};
use super::text::{self, NO_CHECK, Text};
use super::times::{check_timeout, noticed_at_once};
use super::wanted::{Tls, Wanted};
use crate::config::{Preset, words};
use crate::plan::Served;

const PLACE: &str = "/etc/caddy/Caddyfile";

pub(super) static PROGRAM: Program = Program {
    word: "caddy",
    name: "Caddy",
    prints: "Caddyfile",
    examples: &["caddy --peer 10.0.0.2 --host shop.example.com"],
    check_every: Some(Duration::from_secs(30)),
    paths: Paths {
        never: &["{", "}", "\\", "\"", "`", "|"],
        always_quoted: false,
        quote: |path| format!("\"{path}\""),
    },
    proxy: Some(&PROXY),
    print,
};

static PROXY: Proxy = Proxy {
    preset: Preset::Caddy,
    certbot: false,
    // It asks for health at the address of the server.
    unix: |wanted| (!wanted.peers.is_empty()).then_some("check beside other servers"),
    notices: noticed_at_once,
    asks_elsewhere: false,
    without_sites: |_| false,
};

fn print(served: &Served, wanted: &Wanted) -> Result<File, String> {
    let scene = Scene::new(&PROGRAM, &PROXY, served, wanted)?;
    Ok(File { place: PLACE, text: file(&scene)?, warnings: scene.warnings })
}

fn file(scene: &Scene<'_>) -> Result<String, String> {
    let mut out = Text::new("\t");
    scene.head(
        &mut out,
        PLACE,
        Some("caddy validate --config /etc/caddy/Caddyfile && systemctl reload caddy"),
    );
    global(&mut out, scene);
    for site in &scene.sites {
        out.gap();
        self::site(&mut out, scene, site)?;
    }
    Ok(out.finish())
}

fn global(out: &mut Text, scene: &Scene<'_>) {
    let wanted = scene.wanted;
    out.open("{");
    out.note("What is under way when Caddy is reloaded or stopped has so long to end.");
    out.line("grace_period 30s");
    match &wanted.tls {
        Tls::Automatic => match &wanted.email {
            Some(email) => {
                out.note("Certificates come from Let's Encrypt or ZeroSSL by themselves, and warnings about them go here.");
                out.line(format!("email {email}"));
            }
            None => {
                out.note("Certificates come by themselves; `ostler edge caddy --email` says whom to warn.")
            }
        },
        Tls::Files { .. } => out.line("auto_https disable_certs"),
        Tls::Off => {}
    }
    if wanted.http_port != 80 {
        out.line(format!("http_port {}", wanted.http_port));
    }
    if wanted.https_port != 443 {
        out.line(format!("https_port {}", wanted.https_port));
    }
    if let Some(cdn) = wanted.cdn {
        out.note(cdn.note());
        out.open("servers {");
        out.line(format!("trusted_proxies static {}", cdn.networks().join(" ")));
        out.line(format!("client_ip_headers {}", cdn.header()));
        out.close("}");
    }
    out.close("}");
}

fn site(out: &mut Text, scene: &Scene<'_>, site: &Site<'_>) -> Result<(), String> {
    let wanted = scene.wanted;
    let names: Vec<String> = match (site.hosts.as_slice(), scene.tls()) {
        ([], false) => vec![format!("http://:{}", wanted.http_port)],
        ([], true) => vec![format!("https://:{}", wanted.https_port)],
        (hosts, false) => hosts.iter().map(|host| format!("http://{host}")).collect(),
        (hosts, true) => hosts.to_vec(),
    };
    out.open(format!("{} {{", names.join(", ")));
    if let Some(ip) = wanted.listen {
        out.line(format!("bind {ip}"));
    }
    if let Tls::Files { cert, key } = &wanted.tls {
        let key = key.as_ref().unwrap_or(cert);
        let cert = text::path(&PROGRAM, "the certificate", &cert.to_string_lossy())?;
        let key = text::path(&PROGRAM, "the key", &key.to_string_lossy())?;
        out.line(format!("tls {cert} {key}"));
    }
    out.line("encode zstd gzip");
    out.note("More is refused with 413.");
    out.open("request_body {");
    out.line(format!("max_size {}", wanted.max_body));
    out.close("}");
    folders(out, scene, site)?;
    out.gap();
    out.open("handle {");
    proxy(out, scene, site)?;
    out.close("}");
    out.close("}");
    Ok(())
}

fn folders(out: &mut Text, scene: &Scene<'_>, site: &Site<'_>) -> Result<(), String> {
    let folders = site.folders(scene);
    if folders.is_empty() {
        if !site.app.static_files.is_empty() {
            out.note(
                "This edge runs on another machine (--self), so the app answers for `static`: have it served by WhiteNoise, or \
                 copy the folders here and print this without --self.",
            );
        }
        return Ok(());
    }
    out.gap();
    out.note(
        "`static` of the app: Caddy's user has to be able to read these folders. Have all releases collect into one folder, and \
         before the first server is restarted: for a while pages of the release before ask for its files. Files with a hash in \
         their names (Django's ManifestStaticFilesStorage) never change, so browsers and a CDN keep them; all others they ask \
         for again after five minutes.",
    );
    for (prefix, folder) in folders {
        let folder = text::path(&PROGRAM, "`static`", folder.to_string_lossy().trim_end_matches('/'))?;
        out.open(format!("handle_path {prefix}* {{"));
        out.line(format!("root * {folder}"));
        out.open("@hashed {");
        out.line("file");
        out.line(r"path_regexp `\.[0-9a-f]{12}\.[^/]*$`");
        out.close("}");
        out.open("@others {");
        out.line("file");
        out.line(r"not path_regexp `\.[0-9a-f]{12}\.[^/]*$`");
        out.close("}");
        out.line("header @hashed Cache-Control \"public, max-age=31536000, immutable\"");
        out.line("header @others Cache-Control \"public, max-age=300\"");
        out.line("file_server");
        out.close("}");
    }
    Ok(())
}

fn proxy(out: &mut Text, scene: &Scene<'_>, site: &Site<'_>) -> Result<(), String> {
    let mut servers = Vec::new();
    for server in &site.servers {
        servers.push(match &server.at {
            At::Unix(path) => text::path(&PROGRAM, "the socket", &format!("unix/{}", path.display()))?,
            At::Tcp(..) => server.at.to_string(),
        });
    }
    out.open(format!("reverse_proxy {} {{", servers.join(" ")));
    match site.check_port {
        Some(port) => {
            out.note(
                "ostlerd answers, not a worker: 503 from the moment in which the server begins to drain.",
            );
            out.line(format!("health_uri {}", site.check_path()));
            out.line(format!("health_port {port}"));
            out.line(format!("health_interval {}", words(scene.check_every)));
            out.line(format!("health_timeout {}", words(check_timeout(scene.check_every))));
        }
        None if site.servers.len() == 1 => out.note(NO_CHECK),
        None => {}
    }
    out.gap();
    out.note(
        "Caddy sets X-Forwarded-For, -Proto and -Host itself, and believes no client who sends his own.",
    );
    out.note(&site.trust_note);
    if scene.wanted.cdn.is_some() {
        out.line("header_up X-Forwarded-For {client_ip}");
    }
    if site.waits_for_bodies() {
        out.note(
            "A worker of class sync is busy for as long as a client takes to send his request: Caddy takes so much of it in first.",
        );
        out.line("request_buffers 64KiB");
    }
    if site.websockets {
        out.note("Websockets go through by themselves; a reload of Caddy lets them go on for so long.");
        out.line("stream_close_delay 5m");
    }
    out.gap();
    out.open("transport http {");
    out.line("dial_timeout 2s");
    out.note(&site.wait_note);
    out.line(format!("response_header_timeout {}", words(site.wait)));
    out.note(&site.reuse_note);
    match site.reuse {
        Some(reuse) => out.line(format!("keepalive {}", words(reuse))),
        None => out.line("keepalive off"),
    }
    out.close("}");
    out.close("}");
    Ok(())
}
