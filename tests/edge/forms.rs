//! Whatever is asked for, the program itself accepts what is printed; and what a change of `static` costs.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::front::{from_venv, installed};
use crate::harness::{Said, Site, WSGI, free_address, is_root};
use crate::load::Target;
use crate::pair::change;

/// What people ask for, one form a line, for two apps of hard names.
const FORMS: &[&str] = &[
    "--no-tls",
    "--no-tls --cdn cloudflare --peer 127.9.9.9 --max-body 1GB",
    "--no-tls --peer [fd00::2] --peer app3.internal --check-every 500ms",
    "--no-tls --self 127.8.8.8 --peer 127.9.9.9 --listen ::1",
    "--no-tls --host Shop-1=*.example.org --host Shop-1=a.example.org --http-port 8081",
    "--email ops@example.com --peer 127.9.9.9",
    "--cdn cloudflare --https-port 8443",
];

/// A site with two apps, one on a Unix socket too.
fn site() -> Site {
    let site = Site::new();
    let files = site.path("my files");
    fs::create_dir(&files).expect("the folder is new");
    let probe = |name: &str| format!("[probe]\npath = \"/\"\nhost = \"{name}.example.com\"");
    let first = site.app("my.app_2").workers(1).with("app.py", WSGI).table(&probe("first"));
    let args = ["-k", "gthread", "--keep-alive", "75"];
    let first = first.args(&args).listen(Target::Unix(site.path("a b.sock"))).tcp();
    first.key(&format!("static = {{ \"/static/\" = {files:?}, \"/m/x/\" = \"media\" }}")).write();
    site.app("Shop-1").workers(1).tcp().with("app.py", WSGI).table(&probe("second")).write();
    site
}

/// The files that an automatic certificate would be in, for a checker that wants to see them.
fn certificates(folder: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "2", "-subj", "/CN=example.com"]).arg("-keyout").arg(folder.join("privkey.pem"));
    Said::of(openssl.arg("-out").arg(folder.join("fullchain.pem"))).exits(0);
    let both = ["fullchain.pem", "privkey.pem"].map(|name| fs::read(folder.join(name)).expect("it was made"));
    let certs = folder.join("certs");
    fs::create_dir(&certs).expect("the folder is ours");
    fs::write(certs.join("example.pem"), both.concat()).expect("the folder is ours");
}

fn check(program: &str, folder: &Path, text: &str) -> Said {
    let path = folder.join(program);
    fs::write(&path, text).expect("the folder is ours");
    let mut command = match program {
        "nginx" => {
            let main = "pid nginx.pid;\nevents {}\nhttp {\n    access_log off;\n    include nginx;\n}\n";
            fs::write(folder.join("main.conf"), main).expect("the folder is ours");
            let mut command = Command::new(installed("nginx"));
            command.args(["-t", "-q", "-e", "stderr", "-c", "main.conf", "-p"]).arg(folder);
            command
        }
        "haproxy" => {
            let mut command = Command::new(installed("haproxy"));
            command.args(["-c", "-q", "-f"]).arg(&path);
            command
        }
        _ => {
            let mut command = Command::new(from_venv("caddy"));
            command.args(["validate", "--adapter", "caddyfile", "--config"]).arg(&path);
            command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
            command
        }
    };
    Said::of(command.current_dir(folder))
}

#[test]
fn each_program_accepts_whatever_form_is_asked_for() {
    let site = site();
    let ostlerd = site.start();
    for name in ["my.app_2", "Shop-1"] {
        ostlerd.serving(name);
    }
    let folder = tempfile::tempdir().expect("/tmp is writable");
    certificates(folder.path());
    for form in FORMS {
        for program in ["nginx", "haproxy", "caddy"] {
            let mut words: Vec<&str> = ["edge", program].into_iter().chain(form.split(' ')).collect();
            // nginx opens its ports for a test too, which only root may below 1024.
            let ports = [["--http-port", "18080"], ["--https-port", "18443"]];
            words.extend(ports.iter().filter(|port| !is_root() && !form.contains(port[0])).flatten());
            let mut text = ostlerd.ostler(&words).exits(0).out;
            // What certbot makes is not there, and names that nobody knows are no part of this.
            for host in ["first.example.com", "second.example.com"] {
                text =
                    text.replace(&format!("/etc/letsencrypt/live/{host}"), &folder.path().to_string_lossy());
            }
            text = text.replace("/etc/haproxy/certs", &folder.path().join("certs").to_string_lossy());
            text = text.replace("app3.internal", "127.7.7.7");
            let said = check(program, folder.path(), &text);
            assert_eq!(said.code, Some(0), "{words:?}: {said}\n{text}");
            assert!(!said.all().contains("not formatted"), "{words:?}: {said}\n{text}");
        }
    }
}

#[test]
fn a_change_of_static_touches_no_worker_and_is_printed_at_once() {
    let site = Site::new();
    let app = site.app("shop").listen(Target::Tcp(free_address())).workers(1).with("app.py", WSGI);
    let app = app.key("static = { \"/static/\" = \"/srv/one\" }").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let print = || ostlerd.ostler(&["edge", "nginx", "--no-tls"]).exits(0).out;
    assert!(print().contains("alias /srv/one/;"), "{}", print());
    let pids = ostlerd.pids("shop");
    fs::write(&app.file, change(&app.text(), "/srv/one", "files")).expect("the site's folder is writable");
    ostlerd.ostler(&["reload", "--dry-run"]).exits(0).says(&["nothing changes"]);
    ostlerd.ostler(&["reload"]).exits(0);
    let folder = app.directory.join("files");
    assert!(print().contains(&format!("alias {}/;", folder.display())), "{}", print());
    assert_eq!(ostlerd.pids("shop"), pids);
}
