//! `ostler import` of what people have: what it writes passes `ostler check`, and serves.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::{Gunicorn, Said, Site, WSGI, free_address, program, readable, usual_user};
use crate::load::{Target, get};

/// A release with an app, and what the files say of it.
struct Release {
    site: Site,
    directory: PathBuf,
    target: Target,
    user: String,
}

impl Release {
    fn new() -> Release {
        let site = Site::new();
        let directory = site.path("releases/shop");
        fs::create_dir_all(&directory).expect("the site's folder is writable");
        readable(&directory);
        let release = Release { site, directory, target: Target::Tcp(free_address()), user: user() };
        release.put("shop.py", WSGI);
        release
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        let (mark, value) = self.site.mark();
        let text = text
            .replace("DIRECTORY", &self.directory.display().to_string())
            .replace("GUNICORN", &Gunicorn::V27.program("gunicorn").display().to_string())
            .replace("BIND", &self.target.to_string())
            .replace("USER", &self.user)
            .replace("MARK", &format!("{mark}={value}"));
        fs::write(&path, text).expect("the release's folder is writable");
        readable(&path);
        path
    }

    /// Imports, writes, checks, starts; the app answers.
    #[track_caller]
    fn serves(&self, file: &str, text: &str, more: &[&str]) -> String {
        let file = self.put(file, text).display().to_string();
        let config = self.site.config().display().to_string();
        let written = ["import", &file, "--write", "--config", &config, "--name", "shop"];
        let said = self.site.ostler(&[&written[..], more].concat()).exits(0);
        said.says(&["wrote ", "apps.d/shop.toml", "ostler check"]);
        self.site.ostler_check().exits(0).says(&["1 app: shop"]);
        let ostlerd = self.site.start();
        ostlerd.serving("shop");
        let answer = get(&self.target, "/env").expect("it serves");
        String::from_utf8_lossy(&answer.body).into_owned()
    }
}

fn user() -> String {
    match usual_user() {
        Some(user) => user.to_owned(),
        None => Said::of(Command::new("id").arg("-un")).exits(0).out.trim().to_owned(),
    }
}

const UNIT: &str = "[Service]\nUser=USER\nWorkingDirectory=DIRECTORY\nEnvironment=MARK \"COLOUR=dark blue\" ADDRESS=BIND\n\
    ExecStart=GUNICORN --access-logfile - -k gthread \\\n  --threads 2 --bind ${ADDRESS} --pid DIRECTORY/pid shop:application\nRestart=always\n";

#[test]
fn a_unit_serves_as_it_did() {
    let env = Release::new().serves("gunicorn.service", UNIT, &[]);
    assert!(env.contains("\"COLOUR\": \"dark blue\""), "{env}");
}

#[test]
fn a_procfile_serves_with_what_it_is_told() {
    let release = Release::new();
    let python = Gunicorn::V27.python().display().to_string();
    let Target::Tcp(address) = release.target.clone() else { unreachable!("it listens on a port") };
    let port = format!("PORT={}", address.port());
    let line = format!("web: env MARK sh -c \"exec gunicorn shop:application -b {}:$PORT\"\n", address.ip());
    let more = ["--python", &python, "--user", &release.user, "--set", &port];
    release.serves("Procfile", &line, &more);
}

#[test]
fn a_section_of_supervisords_serves_with_its_start_script_and_gunicorns_own_file() {
    let release = Release::new();
    release.put("gunicorn.conf.py", "bind = \"BIND\"\nworker_class = \"gthread\"\npidfile = \"/x\"\n");
    let script =
        release.put("start.sh", "#!/bin/sh\ncd DIRECTORY\nexport MARK\nexec GUNICORN shop:application\n");
    // Written once more, as what is to be run.
    let text = fs::read(&script).expect("the file is ours");
    fs::remove_file(&script).expect("the file is ours");
    program::write(&script, &text);
    let section = "[program:shop]\ncommand=DIRECTORY/start.sh\nuser=USER\nenvironment=COLOUR=\"red\"\n";
    let env = release.serves("shop.conf", section, &[]);
    assert!(env.contains("\"COLOUR\": \"red\""), "{env}");
}

#[test]
fn a_file_that_is_there_is_not_written_over_unless_that_is_asked_for() {
    let release = Release::new();
    let unit = release.put("shop.service", UNIT).display().to_string();
    let config = release.site.config().display().to_string();
    let write = ["import", unit.as_str(), "--write", "--config", &config];
    release.site.ostler(&write).exits(0);
    let file = release.site.path("apps.d/shop.toml");
    fs::write(&file, "# mine\n").expect("the site's folder is writable");
    release.site.ostler(&write).exits(1).says(&["shop.toml is there already", "--force"]);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "# mine\n");
    release.site.ostler(&[&write[..], &["--force"]].concat()).exits(0);
    assert!(fs::read_to_string(&file).expect("it is there").contains("shop:application"));
    let left: Vec<_> = fs::read_dir(release.site.path("apps.d")).expect("it is there").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_is_missing_is_asked_for_and_what_is_no_file_is_named() {
    let site = Site::new();
    let mut child = site.ostler_command(&["import", "-"]);
    let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the command starts");
    let mut input = child.stdin.take().expect("it is a pipe");
    std::io::Write::write_all(&mut input, b"web: gunicorn shop.wsgi -b :$PORT\n").expect("it reads");
    drop(input);
    let said = Said::from_child(child).exits(1);
    said.says(&["--set PORT=VALUE", "--directory", "--python", "--user"]);
    site.ostler(&["import", "/nowhere/x.service"]).exits(1).says(&["/nowhere/x.service cannot be read"]);
    site.ostler(&["import", "/etc/passwd"]).exits(1).says(&["/etc/passwd", "no systemd unit"]);
    site.ostler(&["import"]).exits(64);
    let said = site.ostler(&["import", "/nowhere/x.service", "--json"]).exits(1);
    assert!(said.out.starts_with("{\"error\":"), "{said}");
}

#[test]
fn what_images_are_deployed_with_is_read() {
    let release = Release::new();
    let dockerfile = "FROM python:3.13-slim\nWORKDIR /app\nENV PATH=/venv/bin:$PATH\nCMD [\"gunicorn\", \"-b\", \":8000\", \"shop.wsgi\"]\n";
    let dockerfile = release.put("Dockerfile", dockerfile).display().to_string();
    let more = ["--image", "registry.example.com/shop:43", "--user", &release.user];
    let text = release.site.ostler(&[&["import", &dockerfile], &more[..]].concat()).exits(0);
    text.says(&[
        "image = \"registry.example.com/shop:43\"",
        "listen = \"127.0.0.1:8000\"",
        "directory = \"/srv/shop/current\"",
    ]);
    let config = "{\"config\": {\"Cmd\": [\"gunicorn\", \"shop.wsgi\"], \"WorkingDir\": \"/app\"}}";
    let config = release.put("config.json", config).display().to_string();
    release.site.ostler(&[&["import", &config], &more[..]].concat()).exits(0).says(&["app = \"shop.wsgi\""]);
    release.site.ostler(&["import", &dockerfile]).exits(1).says(&["--image", "--user"]);
    let compose = "services:\n  web: &web\n    build: .\n    ports: ['127.0.0.1:8001:8000']\n  beat: {<<: *web, command: celery -A shop beat}\n\
        \x20 db: {image: 'postgres:16'}\n";
    let compose = release.put("compose.yaml", compose).display().to_string();
    let named = [&["import", &compose, "--service", "web"], &more[..]].concat();
    let said = release.site.ostler(&named).exits(0);
    said.says(&["listen = \"127.0.0.1:8001\"", "# [processes.beat]", "the services db"]);
    release
        .site
        .ostler(&[&["import", &compose, "--service", "shop"], &more[..]].concat())
        .exits(1)
        .says(&["web, beat, db"]);
    fs::write(&dockerfile, vec![b'x'; 10 << 20]).expect("the release's folder is writable");
    release.site.ostler(&["import", &dockerfile]).exits(1).says(&["over 1 MiB long"]);
    fs::write(&dockerfile, [0xff, 0xfe, 0]).expect("the release's folder is writable");
    release.site.ostler(&["import", &dockerfile]).exits(1).says(&["not UTF-8"]);
    let folder = release.directory.display().to_string();
    release.site.ostler(&["import", &folder]).exits(1).says(&["cannot be read"]);
}
