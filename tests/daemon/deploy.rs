//! Deploying from CI: the steps of packaging/examples/github-actions.yml, typed as they stand there, through a real sshd on
//! loopback and a key that may do what packaging/examples/ostler-deploy does, and nothing else.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{AppFile, Ostlerd, Releases, Said, Site, WSGI, is_root, kill, until, venvs};
use crate::load::{Load, answers, get};

mod server;

use server::{Account, Sshd, example, workflow};

/// A server with ostlerd's app and sshd, and the machine of CI.
struct Ci<'a> {
    site: &'a Site,
    account: Account,
    releases: Releases,
    app: AppFile,
    sshd: Sshd,
    steps: Value,
}

/// The app answers its probe, migrates by a script of its own, and has to live for longer than a second.
const TABLES: [&str; 3] = [
    "[rollout]\nsettle = \"1500ms\"\nmax_boot_failures = 1\nboot_timeout = \"20s\"",
    "[probe]\npath = \"/healthz\"",
    "[migrate]\ncommand = [\"/bin/sh\", \"migrate.sh\"]",
];

impl<'a> Ci<'a> {
    fn new(site: &'a Site) -> Ci<'a> {
        let account = Account::new();
        let releases = Releases::new(site, is_root().then_some(account.name.as_str()));
        releases.add("0", &[("app.py", WSGI), ("migrate.sh", "true")]);
        releases.link("releases/0");
        let mut app = site.app("shop").args(&["-k", "gthread", "--threads", "4"]).tcp().workers(2);
        for table in TABLES {
            app = app.table(table);
        }
        let app = app.user(is_root().then_some(account.name.as_str()));
        let app = releases.app(app).write();
        for folder in ["runner", "work"] {
            fs::create_dir(site.path(folder)).expect("the folder is new");
        }
        let script = example("ostler-deploy").display().to_string();
        let sshd = Sshd::start(site, &account.name, &format!("{script} shop {}", releases.root.display()));
        let steps = workflow("github-actions.yml")["jobs"]["deploy"]["steps"].clone();
        let ci = Ci { site, account, releases, app, sshd, steps };
        ci.step("Key", "").exits(0);
        ci
    }

    /// A step of the workflow, as GitHub's runner types it.
    fn step(&self, name: &str, id: &str) -> Said {
        let steps = self.steps.as_array().expect("a job has steps");
        let found = steps.iter().find(|step| step["name"] == name).and_then(|step| step["run"].as_str());
        let run = found.unwrap_or_else(|| panic!("no step {name:?} in {:#}", self.steps));
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", run]).env_clear();
        bash.env("PATH", "/usr/bin:/bin").env("RUNNER_TEMP", self.site.path("runner")).env("RELEASE", id);
        bash.env("DEPLOY_HOST", self.sshd.address.ip().to_string()).env("DEPLOY_USER", &self.account.name);
        bash.env("DEPLOY_PORT", self.sshd.address.port().to_string());
        bash.env("DEPLOY_KEY", &self.sshd.key).env("DEPLOY_KNOWN_HOSTS", &self.sshd.known_hosts);
        Said::of(bash.current_dir(self.site.path("work")).stdin(Stdio::null()))
    }

    /// Anything else with the same key.
    fn ssh(&self, command: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F")
            .arg(self.site.path("runner/ssh_config"))
            .args(["server", "--", command])
            .stdin(Stdio::null());
        ssh
    }

    fn says(&self, command: &str) -> Said {
        Said::of(&mut self.ssh(command))
    }

    /// What is checked out: an app, its requirements from the tests' own index, its migration.
    fn checked_out(&self, code: &str, requirements: &str, migrate: &str) {
        let wheels = venvs().join("wheels-12");
        let index = format!("--no-index\n--find-links={}\n{requirements}\n", wheels.display());
        let code = format!("{WSGI}\n{code}\n");
        for (name, text) in [("app.py", code.as_str()), ("requirements.txt", &index), ("migrate.sh", migrate)]
        {
            fs::write(self.site.path("work").join(name), text).expect("the folder is ours");
        }
        self.step("Build", "").exits(0);
    }

    /// All steps, to the first that fails: its name, and what it said.
    fn deploy(&self, id: &str) -> (&'static str, Said) {
        let copied = self.step("Copy", id);
        match copied.code {
            Some(0) => ("Restart", self.step("Restart", id)),
            _ => ("Copy", copied),
        }
    }
}

const GUNICORN: &str = "gunicorn==27.0.1";

/// What must be as it was when a deployment has failed.
struct Before<'a, 'b> {
    ci: &'a Ci<'b>,
    ostlerd: &'a Ostlerd<'b>,
    current: String,
    pids: Vec<i32>,
}

impl<'a, 'b> Before<'a, 'b> {
    fn of(ci: &'a Ci<'b>, ostlerd: &'a Ostlerd<'b>) -> Self {
        ostlerd.serving("shop");
        Before { ci, ostlerd, current: ci.releases.current(), pids: ostlerd.pids("shop") }
    }

    #[track_caller]
    fn is_unchanged(&self) {
        assert_eq!(self.ci.releases.current(), self.current);
        self.ostlerd.wait("shop", "rests", |app| app.rollout.is_none());
        assert_eq!(self.ostlerd.pids("shop"), self.pids, "the workers are the same processes");
        answers(&self.ci.app.target(), "1");
    }
}

#[test]
fn a_release_is_deployed_from_ci_and_rolled_back() {
    let site = Site::new();
    let ci = Ci::new(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    ci.checked_out("RELEASE = '2'", GUNICORN, "true");
    let load = Load::on(&ci.app.target()).keep_alive(true).start();
    let (step, said) = ci.deploy("17-1-abc");
    assert_eq!(step, "Restart", "{said}");
    said.exits(0).says(&["leads to", "g2 serves"]);
    assert_eq!(ci.releases.current(), "releases/17-1-abc");
    answers(&ci.app.target(), "2");
    let python = get(&ci.app.target(), "/sys").expect("it serves").text();
    assert!(python.contains("releases/17-1-abc/venv"), "it has an environment of its own: {python}");

    ci.says("status").exits(0).says(&["17-1-abc, before it from"]);
    ci.says("rollback").exits(0);
    load.stop().lost_nothing();
    assert_eq!(ci.releases.current(), "releases/0");
    answers(&ci.app.target(), "1");
    ci.says("rollback").exits(64).says(&["rolled back"]);
    ci.step("Copy", "17-1-abc").exits(64).says(&["there already"]);
}

#[test]
fn the_key_may_do_what_it_is_for_and_nothing_else() {
    let site = Site::new();
    let ci = Ci::new(&site);
    let ostlerd = site.start();
    let before = Before::of(&ci, &ostlerd);
    let marks = site.path("logs/mark");
    let touch = format!("touch {}", marks.display());
    for command in [
        "",
        "sh",
        "restart",
        "stop shop",
        "upload a b",
        "restart 0; id",
        "-- status",
        "rollback blog",
        &touch,
    ] {
        ci.says(command)
            .exits(64)
            .says(&["this key may: upload ID, restart ID, deploy-image REF, rollback, status"]);
    }
    for id in ["../0", "/etc", ".hidden", "a/b", "$(id)", "-x", &"x".repeat(65)] {
        ci.says(&format!("upload {id}")).exits(64).says(&["no name of a release"]);
        ci.says(&format!("restart {id}")).exits(64).says(&["no name of a release"]);
    }
    ci.says("restart nothing").exits(64).says(&["no release nothing"]);
    ci.says("status\nrollback").exits(0).says(&["shop"]);
    assert!(!marks.exists());
    before.is_unchanged();
    if is_root() {
        // Another user of the machine, whose key may say `ostler restart`: that takes more than a key.
        let other = Account::new();
        let ostler = format!("{} restart shop", env!("CARGO_BIN_EXE_ostler"));
        let sshd = Sshd::start(&site, &other.name, &ostler);
        sshd.says(&site, &other).exits(77).says(&["may not"]);
        before.is_unchanged();
    }
}

#[test]
fn a_copy_that_is_cut_off_changes_nothing() {
    let site = Site::new();
    let ci = Ci::new(&site);
    let ostlerd = site.start();
    let before = Before::of(&ci, &ostlerd);
    ci.checked_out("RELEASE = '2'", GUNICORN, "true");
    let archive = site.path("runner/release.tar.gz");
    let whole = fs::read(&archive).expect("it was built");
    let left = || {
        let names = fs::read_dir(ci.releases.root.join("releases")).expect("it is there");
        names
            .filter_map(|it| it.ok()?.file_name().into_string().ok())
            .filter(|it| it != ".lock")
            .collect::<Vec<_>>()
    };
    for length in [0, 20, whole.len() / 2, whole.len() - 9] {
        fs::write(&archive, &whole[..length]).expect("it is ours");
        let (step, said) = ci.deploy("18");
        assert_eq!(step, "Copy", "{said}");
        said.exits(1).says(&["copy: the archive of release 18 is cut off or damaged", "nothing was changed"]);
        assert_eq!(left(), ["0"]);
    }
    // The connection is gone in the middle of it.
    let mut half =
        ci.ssh("upload 18").stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("ssh starts");
    half.stdin.as_mut().expect("it is piped").write_all(&whole[..whole.len() / 2]).expect("ssh reads");
    until("the upload has begun", || left().iter().any(|it| it == ".18.partial").then_some(()));
    ci.says("upload 19").exits(75).says(&["another upload is under way"]);
    kill(half.id() as i32, Signal::SIGKILL);
    half.wait().expect("the child is ours");
    until("nothing is left of it", || (left() == ["0"]).then_some(()));
    ci.says("restart 18").exits(64).says(&["not uploaded whole"]);
    before.is_unchanged();

    fs::write(&archive, &whole).expect("it is ours");
    assert_eq!(ci.deploy("18").1.exits(0).code, Some(0), "the same name again, once it is whole");
}

#[test]
fn requirements_that_cannot_be_installed_change_nothing() {
    let site = Site::new();
    let ci = Ci::new(&site);
    let ostlerd = site.start();
    let before = Before::of(&ci, &ostlerd);
    ci.checked_out("", "no-such-package==1.0", "true");
    let (step, said) = ci.deploy("19");
    assert_eq!(step, "Copy");
    said.exits(1).says(&[
        "venv: requirements.txt of release 19 cannot be installed",
        "no-such-package",
        "nothing was changed",
    ]);
    assert!(!ci.releases.root.join("releases/19").exists());
    before.is_unchanged();
}

#[test]
fn a_release_that_fails_on_the_server_changes_nothing_at_whatever_step() {
    let site = Site::new();
    let ci = Ci::new(&site);
    let ostlerd = site.start();
    let before = Before::of(&ci, &ostlerd);
    let load = Load::on(&ci.app.target()).keep_alive(true).start();
    let sick = "
healthy = application
def application(environ, start_response):
    if environ['PATH_INFO'] == '/healthz':
        start_response('500 Internal Server Error', [('Content-Length', '0')])
        return []
    return healthy(environ, start_response)";
    let crash = "import threading\nthreading.Timer(1.0, os._exit, (7,)).start()";
    let failing = [
        ("import", "import no_such_module", "true", vec!["no_such_module", "Traceback", "rolled back"]),
        ("probe", sick, "true", vec!["500", "/healthz", "rolled back"]),
        ("settle", crash, "true", vec!["status 7", "rolled back"]),
        ("migration", "", "echo no such table >&2; exit 3", vec!["migration unknown", "no such table"]),
    ];
    for (id, code, migrate, words) in failing {
        ci.checked_out(&format!("RELEASE = '2'\n{code}"), GUNICORN, migrate);
        let (step, said) = ci.deploy(id);
        assert_eq!(step, "Restart", "{id}: {said}");
        said.exits(1).says(&words);
        before.is_unchanged();
        ci.says("status").exits(1);
    }
    let tally = load.stop();
    tally.lost_nothing();
    assert_eq!(tally.releases().into_iter().collect::<Vec<_>>(), ["1"], "only the old release answered");
}

#[test]
fn what_the_workflow_types_is_bash() {
    let scripts = [example("ostler-deploy")].map(|it| fs::read_to_string(it).expect("it is there"));
    for text in scripts {
        Said::of(Command::new("bash").args(["-n", "-c", &text])).exits(0);
    }
    for (file, count) in [("github-actions.yml", 5), ("github-actions-image.yml", 3)] {
        let workflow = workflow(file);
        let jobs = workflow["jobs"].as_object().expect("there are jobs");
        let steps = jobs.values().flat_map(|job| job["steps"].as_array().expect("a job has steps"));
        let runs: Vec<&str> = steps.filter_map(|step| step["run"].as_str()).collect();
        assert_eq!(runs.len(), count, "{workflow:#}");
        for text in runs {
            Said::of(Command::new("bash").args(["-n", "-c", text])).exits(0);
        }
    }
}

#[test]
fn old_releases_go_and_those_that_run_stay() {
    let site = Site::new();
    let ci = Ci::new(&site);
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let releases = ci.releases.root.join("releases");
    for id in ["a", "b", "c", "d", "e", "f", "g"] {
        ci.releases.add(id, &[("app.py", WSGI), ("migrate.sh", "true"), (".complete", "")]);
    }
    let is_there = |id: &str| releases.join(id).exists();
    ci.says("restart a").exits(0);
    ci.says("restart g").exits(0);
    assert_eq!(ci.releases.current(), "releases/g");
    let left = ["a", "b", "c", "d", "e", "f", "g"].into_iter().filter(|id| is_there(id)).count();
    assert!(is_there("a") && is_there("g") && (5..7).contains(&left), "{left} are left");
    assert!(is_there("0"), "one that was made by hand stays");
}
