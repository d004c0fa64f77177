//! HAProxy: a whole haproxy.cfg, for 2.6 and later.

use std::time::Duration;

use super::program::{File, Paths, Program, Proxy};
use super::servers::At;
use super::site::{Scene, Site};
use super::text::{self, NO_CHECK, Text};
use super::wanted::{Tls, Wanted};
use crate::config::{Address, Preset, words};
use crate::plan::Served;

const PLACE: &str = "/etc/haproxy/haproxy.cfg";

pub(super) static PROGRAM: Program = Program {
    word: "haproxy",
    name: "HAProxy",
    prints: "haproxy.cfg",
    examples: &["haproxy --self 10.0.0.1 --peer 10.0.0.2 --cert /etc/haproxy/shop.pem"],
    check_every: Some(Duration::from_secs(2)),
    paths: Paths {
        never: &["'", "\"", "$", "\\", ","],
        always_quoted: false,
        quote: |path| format!("'{path}'"),
    },
    proxy: Some(&PROXY),
    print,
};

static PROXY: Proxy = Proxy {
    preset: Preset::Haproxy,
    certbot: true,
    unix: |_| None,
    // Three have to fail, and it may be just before the first.
    notices: |every| every * 4,
    asks_elsewhere: true,
    without_sites: |_| false,
};

fn print(served: &Served, wanted: &Wanted) -> Result<File, String> {
    let scene = Scene::new(&PROGRAM, &PROXY, served, wanted)?;
    Ok(File { place: PLACE, text: file(&scene)?, warnings: scene.warnings })
}

fn file(scene: &Scene<'_>) -> Result<String, String> {
    let mut out = Text::new("    ");
    scene.head(&mut out, PLACE, Some("haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy"));
    out.gap();
    out.open("global");
    out.line("log /dev/log local0");
    out.line("user haproxy");
    out.line("group haproxy");
    if scene.tls() {
        out.line("ssl-default-bind-options ssl-min-ver TLSv1.2");
    }
    out.close("");
    out.gap();
    out.open("defaults");
    out.line("mode http");
    out.line("log global");
    out.line("option httplog");
    out.line("option dontlognull");
    out.line("timeout connect 2s");
    out.line("timeout client 60s");
    out.line("timeout http-request 10s");
    out.line("timeout http-keep-alive 60s");
    out.close("");
    frontend(&mut out, scene)?;
    for site in &scene.sites {
        backend(&mut out, scene, site)?;
    }
    Ok(out.finish())
}

fn frontend(out: &mut Text, scene: &Scene<'_>) -> Result<(), String> {
    let wanted = scene.wanted;
    out.gap();
    out.open("frontend web");
    if wanted.listen.is_none() {
        out.note(super::text::WITHOUT_IPV6);
    }
    bind(out, wanted, wanted.http_port, "");
    if scene.tls() {
        let certs = match &wanted.tls {
            Tls::Files { key: Some(_), .. } => {
                return Err("HAProxy reads the key from the certificate's own file: join the two with `cat`, and name that file \
                            with --cert alone"
                    .to_owned());
            }
            Tls::Files { cert, key: None } => {
                text::path(&PROGRAM, "the certificate", &cert.to_string_lossy())?
            }
            _ => {
                certbot(out, scene);
                "/etc/haproxy/certs/".to_owned()
            }
        };
        out.note("HTTP/2, and 1.1 for who does not speak it.");
        bind(out, wanted, wanted.https_port, &format!(" ssl crt {certs} alpn h2,http/1.1"));
        let target = match scene.odd_port() {
            true => format!("location https://%[req.hdr(host),field(1,:)]:{}%[pathq]", wanted.https_port),
            false => "scheme https".to_owned(),
        };
        let mut unless = "{ ssl_fc }";
        if wanted.tls == Tls::Automatic {
            out.line("acl issuer path_beg /.well-known/acme-challenge/");
            out.line("use_backend certbot if issuer");
            unless = "{ ssl_fc } || issuer";
        }
        out.line(format!("http-request redirect {target} code 301 unless {unless}"));
    }
    if let Some(cdn) = wanted.cdn {
        out.gap();
        out.note(cdn.note());
        // A line of HAProxy has at most 64 words.
        for networks in cdn.networks().chunks(12) {
            out.line(format!("acl cdn src {}", networks.join(" ")));
        }
        out.line(format!(
            "http-request set-src req.hdr({header}) if cdn {{ req.hdr({header}) -m found }}",
            header = cdn.header()
        ));
    }
    out.gap();
    out.note("Set, not added to: what a client claims of himself is not believed.");
    out.line("http-request set-header X-Forwarded-For %[src]");
    out.line("http-request set-header X-Forwarded-Proto https if { ssl_fc }");
    out.line("http-request set-header X-Forwarded-Proto http unless { ssl_fc }");
    out.line("http-request set-header X-Forwarded-Host %[req.hdr(Host)]");
    out.gap();
    out.note(
        "More is refused with 413, or over HTTP/2 by an end of that request alone; a client that sends on regardless may see its \
         connection end before it reads the answer. HAProxy goes by what the request says of its length; one that is sent in \
         chunks says nothing, and the app's own limit has to do.",
    );
    out.line(format!(
        "http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt {} }}",
        wanted.max_body
    ));
    out.gap();
    for site in &scene.sites {
        match site.hosts.as_slice() {
            [] => out.line(format!("default_backend {}", site.ident)),
            hosts => {
                for host in hosts {
                    // Case and port do not count.
                    let test = match host.strip_prefix('*') {
                        Some(end) => format!("req.hdr(host),field(1,:) -i -m end {end}"),
                        None => format!("req.hdr(host),field(1,:) -i {host}"),
                    };
                    out.line(format!("use_backend {} if {{ {test} }}", site.ident));
                }
            }
        }
    }
    out.close("");
    if wanted.tls == Tls::Automatic {
        out.gap();
        out.open("backend certbot");
        out.line("server certbot 127.0.0.1:8888");
        out.close("");
    }
    Ok(())
}

fn bind(out: &mut Text, wanted: &Wanted, port: u16, more: &str) {
    match wanted.listen {
        Some(ip) => out.line(format!("bind {}{more}", std::net::SocketAddr::new(ip, port))),
        None => {
            out.line(format!("bind :{port}{more}"));
            out.line(format!("bind :::{port} v6only{more}"));
        }
    }
}

fn certbot(out: &mut Text, scene: &Scene<'_>) {
    let email = scene.wanted.email.as_ref().map_or_else(String::new, |email| format!(" --email {email}"));
    out.note(
        "Certificates: HAProxy asks no issuer itself before 3.2. Once, before it listens on port 80; later it leads the issuer's \
         questions to certbot by the backend below, and the renewals go by themselves:",
    );
    out.command("mkdir -p /etc/haproxy/certs");
    for site in &scene.sites {
        let names: Vec<String> = site.hosts.iter().map(|host| format!("-d {host}")).collect();
        out.command(&format!("certbot certonly --standalone {}{email} --agree-tos", names.join(" ")));
    }
    out.note("with this line in /etc/letsencrypt/cli.ini once HAProxy runs,");
    out.command("http-01-port = 8888");
    out.note(
        "and this script as /etc/letsencrypt/renewal-hooks/deploy/haproxy, to be run by hand the first time:",
    );
    out.command("#!/bin/sh");
    out.command("for live in /etc/letsencrypt/live/*/; do");
    out.command("cat $live/fullchain.pem $live/privkey.pem >/etc/haproxy/certs/$(basename $live).pem");
    out.command("done");
    out.command("systemctl try-reload-or-restart haproxy");
    out.note("From 3.2 on HAProxy can do it itself: see `acme` in its manual (experimental there).");
}

fn backend(out: &mut Text, scene: &Scene<'_>, site: &Site<'_>) -> Result<(), String> {
    out.gap();
    out.open(format!("backend {}", site.ident));
    out.note(&site.trust_note);
    out.note(&site.wait_note);
    out.line(format!("timeout server {}", words(site.wait)));
    if site.websockets {
        out.note(
            "Websockets go through by themselves. One may be silent for so long; uvicorn pings every 20 s.",
        );
        out.line(format!("timeout tunnel {}", words(site.wait.max(Duration::from_secs(3600)))));
    }
    out.line("compression algo gzip");
    out.line(
        "compression type text/html text/plain text/css text/javascript text/xml application/javascript application/json \
         application/xml image/svg+xml",
    );
    out.note(&site.reuse_note);
    match site.reuse {
        Some(reuse) => {
            out.line("http-reuse safe");
            // Idle connections are looked over twice in that time.
            out.line(format!("default-server pool-purge-delay {}", words(reuse / 2)));
        }
        None => {
            out.line("http-reuse never");
            out.line("option http-server-close");
        }
    }
    if site.waits_for_bodies() {
        out.note(
            "A worker of class sync is busy for as long as a client takes to send his request: HAProxy takes it in first, as far \
             as its buffer goes (tune.bufsize, 16 KiB).",
        );
        out.line("option http-buffer-request");
    }
    if !site.app.static_files.is_empty() {
        let prefixes: Vec<&str> = site.app.static_files.keys().map(String::as_str).collect();
        out.note(&format!(
            "HAProxy serves no files, so what is below {} goes to the app: have them served by WhiteNoise (with \
             ManifestStaticFilesStorage it says `immutable` for names with a hash), or by an nginx beside.",
            prefixes.join(" and ")
        ));
    }
    checks(out, scene, site);
    out.line("option redispatch");
    for (number, server) in site.servers.iter().enumerate() {
        let at = match &server.at {
            At::Unix(path) => text::path(&PROGRAM, "the socket", &format!("unix@{}", path.display()))?,
            At::Tcp(..) => server.at.to_string(),
        };
        let elsewhere = match (site.check_port, server.health) {
            (Some(port), Some(ip)) if agent(scene).is_some() => {
                format!(" addr {ip} port {port} agent-addr {ip}")
            }
            (Some(port), Some(ip)) => format!(" addr {ip} port {port}"),
            _ => String::new(),
        };
        // A name need not be known yet when HAProxy starts.
        let late = match &server.at {
            At::Tcp(host, _) if host.parse::<std::net::IpAddr>().is_err() => " init-addr last,libc,none",
            _ => "",
        };
        out.line(format!("server app{} {at}{elsewhere}{late}", number + 1));
    }
    out.close("");
    Ok(())
}

/// The port of the agent.
fn agent(scene: &Scene<'_>) -> Option<u16> {
    match &scene.served.agent {
        Some(Address::Tcp(agent)) => Some(agent.port()),
        _ => None,
    }
}

fn checks(out: &mut Text, scene: &Scene<'_>, site: &Site<'_>) {
    let Some(port) = site.check_port else {
        if site.servers.len() == 1 {
            out.note(NO_CHECK);
        }
        return;
    };
    out.note("ostlerd answers, not a worker: 503 from the moment in which the server begins to drain.");
    out.line(format!("option httpchk GET {}", site.check_path()));
    let every = words(scene.check_every);
    let agent = match agent(scene) {
        Some(port) => {
            out.note(
                "The agent is quicker and tells how busy the server is. `check` stays: HAProxy takes an agent that does not answer \
                 for no news.",
            );
            let every = words(scene.check_every / 2);
            format!(" weight 100 agent-check agent-port {port} agent-inter {every} agent-send \"weight\\n\"")
        }
        None => String::new(),
    };
    out.line(format!("default-server check port {port} inter {every} fall 3 rise 2{agent}"));
}
