//! What the processes of an image find there, and what of the machine.

use serde_json::{Value, json};

use super::{Images, code, open_folder};
use crate::harness::Site;
use crate::load::{Target, get};

/// Tells what it sees.
const TELLS: &str = r#"
import json, os, sys

def lists(path):
    try:
        return sorted(os.listdir(path))
    except OSError as error:
        return error.strerror

def writes(path):
    try:
        open(path, "w").close()
        return "written"
    except OSError as error:
        return error.strerror

def tries(what):
    try:
        what()
        return "done"
    except OSError as error:
        return error.strerror

def application(environ, start_response):
    status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines())
    places = ("/app/new", "/tmp/new", "/run/new", "/sys/new", "/proc/sys/kernel/hostname", "/dev/new", "/dev/null",
              "/etc/hosts", "/etc/resolv.conf", "/data/new", "/read/new")
    body = json.dumps({
        "root": lists("/"),
        "dev": lists("/dev"),
        "cwd": os.getcwd(),
        "python": sys.executable,
        "uid": os.getuid(),
        "env": dict(os.environ),
        "writes": {place: writes(place) for place in places},
        "data": lists("/data"),
        "read": lists("/read"),
        "capabilities": [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "no_new_privs": status["NoNewPrivs"],
        "pts": os.ttyname(os.openpty()[1]),
        "owner of /proc": os.stat("/proc").st_uid,
        "chroots": tries(lambda: os.chroot("/tmp")),
    }).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"#;

fn seen(target: &Target) -> Value {
    let told = get(target, "/").expect("it answers").text();
    serde_json::from_str(&told).expect("it is JSON")
}

#[test]
fn workers_see_the_image_and_of_the_machine_only_what_they_need() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    let data = open_folder(&site, "data");
    std::fs::write(data.join("kept"), "").expect("it is ours");
    let release = images.add("1", TELLS);
    for folder in ["data", "read"] {
        std::fs::create_dir(release.join("rootfs").join(folder)).expect("it is ours");
    }
    let volumes = format!("volumes = {{ \"/data\" = {data:?}, \"/read\" = \"{}:ro\" }}", data.display());
    let app = images.app().key(&volumes).write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let seen = seen(&app.target());
    assert_eq!((&seen["cwd"], &seen["python"]), (&json!("/app"), &json!("/usr/bin/python3")));
    let outside = site.path("").display().to_string();
    let first = outside.split('/').nth(1).expect("it is absolute");
    let root = seen["root"].as_array().expect("it can be read");
    assert!(first == "tmp" || !root.contains(&json!(first)), "{root:?}");
    assert_eq!(
        seen["dev"],
        json!([
            "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
            "urandom", "zero"
        ])
    );
    let env = &seen["env"];
    assert_eq!((&env["FROM"], &env["BOTH"], &env["HOME"]), (&json!("image"), &json!("file"), &json!("/tmp")));
    assert_eq!(env.get("TERM"), None);
    let read_only = "Read-only file system";
    for (place, outcome) in [
        ("/app/new", read_only),
        ("/tmp/new", "written"),
        ("/run/new", "written"),
        ("/sys/new", read_only),
        ("/proc/sys/kernel/hostname", "Permission denied"),
        ("/dev/new", read_only),
        ("/dev/null", "written"),
        ("/etc/hosts", read_only),
        ("/etc/resolv.conf", read_only),
        ("/data/new", "written"),
        ("/read/new", read_only),
    ] {
        // Who may not write there is told so first, or that nobody may.
        let told = seen["writes"][place].as_str().expect("it was tried");
        let refused = ["Permission denied", read_only];
        let fits = told == outcome || refused.contains(&told) && refused.contains(&outcome);
        assert!(fits, "{place}: {told}");
    }
    assert_eq!(seen["data"], json!(["kept", "new"]));
    assert_eq!(seen["read"], seen["data"]);
    let none = "0000000000000000";
    assert_eq!(seen["capabilities"], json!([none, none, none, none, none]));
    assert_eq!((&seen["no_new_privs"], &seen["chroots"]), (&json!("1"), &json!("Operation not permitted")));
    assert_eq!(seen["owner of /proc"], 0);
    assert!(data.join("new").exists(), "what it writes into a volume is on the machine");
    assert!(!images.release("1").join("rootfs/tmp/new").exists());
}

#[test]
fn what_a_worker_writes_to_tmp_the_others_of_its_release_see() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    images.add("1", "import os\nopen(f'/tmp/{os.getpid()}', 'w').close()\nfrom other import application\n");
    std::fs::write(images.release("1").join("rootfs/app/other.py"), TELLS_TMP).expect("it is ours");
    images.add("2", &code("2"));
    let app = images.app().write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    let mut pids: Vec<String> = ostlerd.pids("shop").iter().map(i32::to_string).collect();
    pids.sort();
    assert_eq!(get(&app.target(), "/").expect("it answers").text(), pids.join(" "));
    images.switch(&ostlerd, "2").exits(0);
    assert_eq!(std::fs::read_dir(images.release("2").join("tmp")).expect("it is there").count(), 0);
}

const TELLS_TMP: &str = r#"
import os
def application(environ, start_response):
    start_response("200 OK", [])
    return [" ".join(sorted(os.listdir("/tmp"))).encode()]
"#;

#[test]
fn an_image_can_be_written_to_where_that_is_asked_for() {
    let site = Site::new();
    let Some(images) = Images::new(&site) else { return };
    let release = images.add("1", TELLS);
    for folder in ["data", "read"] {
        std::fs::create_dir(release.join("rootfs").join(folder)).expect("it is ours");
    }
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(release.join("rootfs/app"), everybody).expect("it is ours");
    let app = images.app().key("image_writable = true").write();
    let ostlerd = site.start();
    ostlerd.serving("shop");
    assert_eq!(seen(&app.target())["writes"]["/app/new"], "written");
    assert!(release.join("rootfs/app/new").exists());
}
