//! nginx: a file of conf.d, for 1.18 and later.

use super::program::{File, Paths, Program, Proxy};
use super::servers::{At, Server};
use super::site::{Scene, Site};
use super::text::{self, Text};
use super::times::noticed_at_once;
use super::wanted::{Tls, Wanted};
use crate::config::Preset;
use crate::plan::Served;

const PLACE: &str = "/etc/nginx/conf.d/ostler.conf";

pub(super) static PROGRAM: Program = Program {
    word: "nginx",
    name: "nginx",
    prints: "A file of conf.d",
    examples: &[
        "nginx --host shop.example.com --email ops@example.com >/etc/nginx/conf.d/ostler.conf",
        "nginx shop --no-tls --cdn cloudflare",
    ],
    // What checks servers is in its commercial part alone.
    check_every: None,
    paths: Paths {
        never: &["$"],
        always_quoted: false,
        quote: |path| format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"")),
    },
    proxy: Some(&PROXY),
    print,
};

static PROXY: Proxy = Proxy {
    preset: Preset::Nginx,
    certbot: true,
    unix: |_| None,
    notices: noticed_at_once,
    asks_elsewhere: false,
    without_sites: |_| false,
};

/// What Django's ManifestStaticFilesStorage puts into names, twelve digits of a hash: such a file never changes.
const HASHED: &str = r#""~\.[0-9a-f]{12}\.[^/]*$""#;

const FOREVER: &str = "\"public, max-age=31536000, immutable\"";

fn print(served: &Served, wanted: &Wanted) -> Result<File, String> {
    let scene = Scene::new(&PROGRAM, &PROXY, served, wanted)?;
    Ok(File { place: PLACE, text: file(&scene)?, warnings: scene.warnings })
}

fn file(scene: &Scene<'_>) -> Result<String, String> {
    let mut out = Text::new("    ");
    scene.head(&mut out, PLACE, Some("nginx -t && systemctl reload nginx"));
    let statics = scene.sites.iter().any(|site| !site.folders(scene).is_empty());
    for kept in [true, false] {
        if !scene.sites.iter().any(|site| site.websockets && site.reuse.is_some() == kept) {
            continue;
        }
        out.gap();
        out.note(
            "A websocket asks for its connection to be upgraded; any other request says what becomes of it.",
        );
        out.open(format!("map $http_upgrade {} {{", upgrade(kept)));
        out.line("default upgrade;");
        out.line(if kept { "'' '';" } else { "'' close;" });
        out.close("}");
    }
    if statics {
        out.gap();
        out.note(
            "Files with a hash in their names (Django's ManifestStaticFilesStorage) never change, so browsers and a CDN keep \
             them; all others they ask for again after five minutes.",
        );
        out.open("map $uri $ostler_cache {");
        out.line(format!("{HASHED} {FOREVER};"));
        out.line("default \"public, max-age=300\";");
        out.close("}");
    }
    if let Some(cdn) = scene.wanted.cdn {
        out.gap();
        out.note(cdn.note());
        for network in cdn.networks() {
            out.line(format!("set_real_ip_from {network};"));
        }
        out.line(format!("real_ip_header {};", cdn.header()));
    }
    for site in &scene.sites {
        upstream(&mut out, site)?;
        servers(&mut out, scene, site)?;
    }
    Ok(out.finish())
}

fn upgrade(kept: bool) -> &'static str {
    if kept { "$ostler_upgrade_or_keep" } else { "$ostler_upgrade_or_close" }
}

fn upstream(out: &mut Text, site: &Site<'_>) -> Result<(), String> {
    out.gap();
    let several = site.servers.len() > 1;
    if several {
        out.note(
            "nginx without its commercial part asks nobody for health. A server that drains goes on answering; one whose ports \
             are closed refuses, is left alone for fail_timeout, and the next one is asked. To take one out by hand, write \
             `down` behind it.",
        );
    }
    let named =
        |server: &Server| matches!(&server.at, At::Tcp(host, _) if host.parse::<std::net::IpAddr>().is_err());
    if site.servers.iter().any(named) {
        out.note("nginx looks a name up once, when it starts, and does not start where it finds none.");
    }
    out.open(format!("upstream {} {{", site.ident));
    for server in &site.servers {
        let at = match &server.at {
            At::Unix(path) => text::path(&PROGRAM, "the socket", &format!("unix:{}", path.display()))?,
            At::Tcp(..) => server.at.to_string(),
        };
        let marks = if several { " max_fails=1 fail_timeout=5s" } else { "" };
        out.line(format!("server {at}{marks};"));
    }
    if several {
        out.note("So that what one of nginx's processes has found out, all of them know.");
        out.line(format!("zone {} 128k;", site.ident));
    }
    out.note(&site.reuse_note);
    if let Some(reuse) = site.reuse {
        out.line("keepalive 32;");
        out.line(format!("keepalive_timeout {}s;", reuse.as_secs().max(1)));
    }
    out.close("}");
    Ok(())
}

fn listen(out: &mut Text, wanted: &Wanted, port: u16, more: &str) {
    match wanted.listen {
        Some(ip) => out.line(format!("listen {}{more};", std::net::SocketAddr::new(ip, port))),
        None => {
            out.note(text::WITHOUT_IPV6);
            out.line(format!("listen {port}{more};"));
            out.line(format!("listen [::]:{port}{more};"));
        }
    }
}

fn names(out: &mut Text, site: &Site<'_>) {
    match site.hosts.as_slice() {
        [] => out.line("server_name _;"),
        hosts => out.line(format!("server_name {};", hosts.join(" "))),
    }
}

fn servers(out: &mut Text, scene: &Scene<'_>, site: &Site<'_>) -> Result<(), String> {
    let wanted = scene.wanted;
    let default = if site.hosts.is_empty() { " default_server" } else { "" };
    if scene.tls() {
        out.gap();
        out.open("server {");
        listen(out, wanted, wanted.http_port, default);
        names(out, site);
        if wanted.tls == Tls::Automatic {
            challenge(out);
        }
        out.open("location / {");
        let port = if scene.odd_port() { format!(":{}", wanted.https_port) } else { String::new() };
        out.line(format!("return 301 https://$host{port}$request_uri;"));
        out.close("}");
        out.close("}");
    }
    out.gap();
    out.open("server {");
    if site.hosts.is_empty() {
        out.note("For every name: Debian's own example has to go for it, /etc/nginx/sites-enabled/default.");
    }
    match scene.tls() {
        true => {
            out.note("From nginx 1.25.1 on HTTP/2 has a line of its own, `http2 on;`; this form is understood as well.");
            listen(out, wanted, wanted.https_port, &format!(" ssl http2{default}"));
        }
        false => listen(out, wanted, wanted.http_port, default),
    }
    names(out, site);
    certificates(out, wanted, site)?;
    out.gap();
    out.note("More is refused with 413, before a worker sees it.");
    out.line(format!("client_max_body_size {};", wanted.max_body));
    out.gap();
    out.line("gzip on;");
    out.line("gzip_vary on;");
    out.line("gzip_proxied any;");
    out.line("gzip_min_length 1000;");
    out.line(
        "gzip_types text/plain text/css text/javascript text/xml application/javascript application/json application/xml \
         application/manifest+json image/svg+xml;",
    );
    folders(out, scene, site)?;
    out.gap();
    if !scene.tls() && !site.hosts.is_empty() {
        challenge(out);
    }
    proxy(out, scene, site);
    out.close("}");
    Ok(())
}

fn certificates(out: &mut Text, wanted: &Wanted, site: &Site<'_>) -> Result<(), String> {
    let (cert, key) = match (&wanted.tls, site.hosts.first()) {
        (Tls::Off, _) => return Ok(()),
        (Tls::Files { cert, key }, _) => {
            let cert = text::path(&PROGRAM, "the certificate", &cert.to_string_lossy())?;
            let key = key.as_ref().map(|key| text::path(&PROGRAM, "the key", &key.to_string_lossy()));
            let key = key.transpose()?.unwrap_or_else(|| cert.clone());
            (cert, key)
        }
        (Tls::Automatic, host) => {
            let host = host.map(String::as_str).unwrap_or_default().trim_start_matches("*.");
            certbot(out, wanted, site);
            let folder = format!("/etc/letsencrypt/live/{host}");
            (format!("{folder}/fullchain.pem"), format!("{folder}/privkey.pem"))
        }
    };
    out.line(format!("ssl_certificate {cert};"));
    out.line(format!("ssl_certificate_key {key};"));
    out.line("ssl_protocols TLSv1.2 TLSv1.3;");
    out.line("ssl_session_cache shared:ostler:10m;");
    Ok(())
}

fn challenge(out: &mut Text) {
    out.note("Where certbot puts its answers to the issuer's questions.");
    out.open("location ^~ /.well-known/acme-challenge/ {");
    out.line("root /var/www/letsencrypt;");
    out.close("}");
}

fn certbot(out: &mut Text, wanted: &Wanted, site: &Site<'_>) {
    out.gap();
    out.note(
        "Once, with this file printed by `ostler edge nginx --no-tls` and in force until there is a certificate; certbot renews it \
         by itself.",
    );
    let email = wanted.email.as_ref().map_or_else(String::new, |email| format!(" --email {email}"));
    let names: Vec<String> = site.hosts.iter().map(|host| format!("-d {host}")).collect();
    out.command(&format!(
        "mkdir -p /var/www/letsencrypt && certbot certonly --webroot -w /var/www/letsencrypt {}{email} --agree-tos \
         --deploy-hook 'systemctl reload nginx'",
        names.join(" ")
    ));
    out.note(
        "nginx's own module does without certbot, from 1.28 on (package nginx-module-acme): then write beside `upstream` above",
    );
    out.command("resolver 127.0.0.53;");
    let contact = wanted.email.as_deref().unwrap_or("ops@example.com");
    out.command(&format!(
        "acme_issuer letsencrypt {{ uri https://acme-v02.api.letsencrypt.org/directory; contact {contact}; state_path \
         /var/cache/nginx/acme; accept_terms_of_service; }}"
    ));
    out.note("and in place of the next two lines");
    out.command("acme_certificate letsencrypt;");
    out.command("ssl_certificate $acme_certificate; ssl_certificate_key $acme_certificate_key;");
}

fn folders(out: &mut Text, scene: &Scene<'_>, site: &Site<'_>) -> Result<(), String> {
    let folders = site.folders(scene);
    if folders.is_empty() {
        if !site.app.static_files.is_empty() {
            out.gap();
            out.note(
                "This edge runs on another machine (--self), so the app answers for `static`: have it served by WhiteNoise, or \
                 copy the folders here and print this without --self.",
            );
        }
        return Ok(());
    }
    out.gap();
    out.note(
        "`static` of the app: nginx's user has to be able to read these folders. Have all releases collect into one folder, and \
         before the first server is restarted: for a while pages of the release before ask for its files.",
    );
    for (prefix, folder) in folders {
        let folder = format!("{}/", folder.to_string_lossy().trim_end_matches('/'));
        let folder = text::path(&PROGRAM, "`static`", &folder)?;
        out.open(format!("location ^~ {prefix} {{"));
        out.line(format!("alias {folder};"));
        out.line("add_header Cache-Control $ostler_cache;");
        out.line("access_log off;");
        out.close("}");
    }
    Ok(())
}

fn proxy(out: &mut Text, scene: &Scene<'_>, site: &Site<'_>) {
    out.open("location / {");
    out.line(format!("proxy_pass http://{};", site.ident));
    out.line("proxy_http_version 1.1;");
    match (site.websockets, site.reuse) {
        (true, _) => {
            out.line("proxy_set_header Upgrade $http_upgrade;");
            out.line(format!("proxy_set_header Connection {};", upgrade(site.reuse.is_some())));
        }
        (false, Some(_)) => out.line("proxy_set_header Connection \"\";"),
        (false, None) => out.line("proxy_set_header Connection close;"),
    }
    let host = if scene.odd_port() { "$host:$server_port" } else { "$host" };
    out.gap();
    out.note("Set, not added to: what a client claims of himself is not believed.");
    out.note(&site.trust_note);
    out.line(format!("proxy_set_header Host {host};"));
    out.line("proxy_set_header X-Forwarded-For $remote_addr;");
    out.line("proxy_set_header X-Forwarded-Proto $scheme;");
    out.line(format!("proxy_set_header X-Forwarded-Host {host};"));
    out.gap();
    out.note(&site.wait_note);
    if site.websockets {
        out.note("A websocket may be silent for so long as well; uvicorn pings every 20 s.");
    }
    out.line("proxy_connect_timeout 2s;");
    out.line(format!("proxy_read_timeout {}s;", site.wait.as_secs_f64().ceil()));
    out.line(format!("proxy_send_timeout {}s;", site.wait.as_secs_f64().ceil()));
    if site.servers.len() > 1 {
        out.note(
            "Where a connection is refused nothing was sent, so the next server is asked for POST as well.",
        );
        out.line("proxy_next_upstream error timeout http_502 http_503;");
    }
    out.close("}");
}
