//! ostlerd as PID 1 of a container: the entry point and the files of packaging/examples/Dockerfile, in a PID namespace.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::harness::{
    Gunicorn, Proc, Said, Site, WSGI, free_address, is_root, kill, readable, until, usual_user,
};
use crate::load::{Target, get};

const STRAY: &str = r#"
import subprocess
print("a worker says hello")

app = application
def application(environ, start_response):
    if environ["PATH_INFO"] == "/stray":
        # A grandchild that outlives its parent, and ends.
        subprocess.run(["/bin/sh", "-c", "sleep 0.3 & echo $! >>$STRAYS"])
    return app(environ, start_response)
"#;

fn dockerfile() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples/Dockerfile");
    fs::read_to_string(path).expect("it is there")
}

/// The file that the image gets at `path`.
fn file(dockerfile: &str, path: &str) -> String {
    let head = format!("COPY <<'END' {path}\n");
    let (_, rest) = dockerfile.split_once(&head).unwrap_or_else(|| panic!("no {path} in it"));
    rest.split_once("\nEND\n").expect("it ends").0.to_owned() + "\n"
}

/// The words of its entry point.
fn entry_point(dockerfile: &str) -> Vec<String> {
    let line = dockerfile.lines().find_map(|line| line.strip_prefix("ENTRYPOINT ")).expect("it has one");
    serde_json::from_str(line).expect("it is a list of words")
}

/// Runs the image, as far as there can be one without an engine: its entry point in namespaces of its own.
fn run(site: &Site) -> Child {
    let words = entry_point(&dockerfile());
    assert_eq!(words, ["ostlerd"]);
    let mut unshare = Command::new("unshare");
    if !is_root() {
        unshare.args(["--user", "--map-current-user"]);
    }
    unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child", env!("CARGO_BIN_EXE_ostlerd")]);
    unshare.arg("--config").arg(site.config());
    unshare.arg("--runtime-dir").arg(site.path("run")).arg("--state-dir").arg(site.path("state"));
    let (mark, value) = site.mark();
    unshare.env(mark, value).stdin(Stdio::null());
    for (name, set) in
        [("out", Command::stdout as fn(&mut Command, fs::File) -> &mut Command), ("err", Command::stderr)]
    {
        set(&mut unshare, fs::File::create(site.path(name)).expect("the folder is ours"));
    }
    unshare.spawn().expect("unshare starts")
}

#[test]
fn ostlerd_is_the_first_process_of_a_container() {
    let site = Site::new();
    let (shop, strays) = (site.path("srv"), site.path("logs/strays"));
    fs::create_dir(&shop).expect("the folder is new");
    readable(&shop);
    fs::write(shop.join("app.py"), format!("{WSGI}{STRAY}")).expect("the folder is ours");
    let (clients, health) = (free_address(), free_address());
    let text = dockerfile();
    let main = file(&text, "/etc/ostler/ostler.toml").replace("0.0.0.0:9180", &health.to_string());
    fs::write(site.config(), main).expect("the folder is ours");
    let (mark, value) = site.mark();
    let app = file(&text, "/etc/ostler/apps.d/shop.toml")
        .replace("\"/srv/shop/current\"", &format!("{shop:?}"))
        .replace("\"/srv/shop/venv/bin/python\"", &format!("{:?}", Gunicorn::V27.python()))
        .replace("shop.wsgi:application", "app:application")
        .replace("0.0.0.0:8000", &clients.to_string());
    let app = match usual_user() {
        Some(user) => app.replace("\"shop\"", &format!("{user:?}")),
        None => app.replace("user      = \"shop\"\n", ""),
    };
    let env =
        format!("env = {{ {mark} = {value:?}, STRAYS = {strays:?}, PYTHONDONTWRITEBYTECODE = \"1\" }}\n");
    fs::write(site.path("apps.d/shop.toml"), app + &env).expect("the folder is ours");

    let mut container = run(&site);
    let ready = || {
        let ended = container.try_wait().expect("the child is ours");
        assert!(ended.is_none(), "{ended:?}: {}", fs::read_to_string(site.path("err")).unwrap_or_default());
        get(&Target::Tcp(health), "/readyz").ok().filter(|it| it.status == 200).map(drop)
    };
    until("the container is ready", ready);
    let target = Target::Tcp(clients);
    get(&target, "/").expect("it serves");
    let is_first =
        |it: &&Proc| it.command().contains("ostlerd --config") && !it.command().contains("unshare");
    let first = *site.processes().iter().find(is_first).expect("ostlerd runs");
    let status = fs::read_to_string(format!("/proc/{}/status", first.0)).expect("it runs");
    let inside = status.lines().find(|line| line.starts_with("NSpid:")).expect("the kernel says");
    assert_eq!(inside.split_whitespace().last(), Some("1"), "{inside}");

    for _ in 0..3 {
        get(&target, "/stray").expect("it serves");
    }
    until("the orphans are reaped", || {
        let begun = fs::read_to_string(&strays).unwrap_or_default().lines().count() == 3;
        let children =
            fs::read_to_string(format!("/proc/{0}/task/{0}/children", first.0)).unwrap_or_default();
        let workers = children.split_whitespace().count() == 2;
        (begun && workers && first.zombie_children().is_empty()).then_some(())
    });

    let slow = std::thread::spawn({
        let target = target.clone();
        move || get(&target, "/sleep?2")
    });
    until("the request is under way", || {
        let said = Said::of(&mut site.ostler_command(&["status", "--json"]));
        said.out.contains("\"in_flight\":1").then_some(())
    });
    // As `docker stop` does.
    kill(first.0, Signal::SIGTERM);
    let answer = slow.join().expect("no panic").expect("it is answered");
    assert_eq!(answer.status, 200);
    let ended = until("the container ends", || container.try_wait().expect("the child is ours"));
    assert_eq!(ended.code(), Some(0), "{ended}");
    let said = ["out", "err"].map(|name| fs::read_to_string(site.path(name)).expect("it was made")).concat();
    for words in ["a worker says hello", "ostlerd runs 1 app", "SIGTERM received", "ostlerd has stopped"] {
        assert!(said.contains(words), "{words:?} should be in the container's log:\n{said}");
    }
}
