//! Many apps of one interpreter and one user: what is the same for all of them is done once, and nobody can tell.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::harness::{AppFile, Gunicorn, Proc, Site, WSGI, newest_is_too_new, readable, until};

/// Writes down all that a `gunicorn.conf.py` can see of its process.
const SEES: &str = r#"
import json, locale, os, random, resource, signal, stat, sys
from gunicorn import config as read
def kind(fd):
    mode = os.fstat(fd).st_mode
    return [number for number in range(16) if stat.S_IFMT(mode) >> 12 == number]
mask = os.umask(0); os.umask(mask)
command = open("/proc/self/cmdline").read().rstrip("\0").split("\0")
seen = {
    "environment": dict(os.environ), "directory": os.getcwd(), "umask": mask, "arguments": sys.argv, "path": sys.path,
    "flags": list(sys.flags), "program": sys.executable, "prefix": sys.prefix, "title": command[-1].strip(),
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()], "leads": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
    "kinds": {fd: kind(fd) for fd in (0, 1, 2)}, "open": sorted(map(int, os.listdir("/proc/self/fd")))[:3],
    "stdout": [sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering, sys.stdout.write_through],
    "locale": locale.setlocale(locale.LC_CTYPE), "gunicorn": __import__("gunicorn").__file__,
    "signals": {number: str(signal.getsignal(number)) for number in (1, 2, 10, 12, 13, 15, 17)},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
    "defaults": {setting.name: str(setting.default).split(" at 0x")[0] for setting in read.KNOWN_SETTINGS},
    "values": {name: str(setting.value).split(" at 0x")[0] for name, setting in read.make_settings().items()},
    "custom": getattr(sys, "custom", None), "privileges": [line for line in open("/proc/self/status") if line.startswith(("NoNew", "Cap"))],
}
with open(os.environ["SEEN"], "w") as file:
    json.dump({"seen": seen, "parent": open("/proc/%d/cmdline" % os.getppid()).read(), "random": random.random()}, file)
"#;

fn app(site: &Site, name: &str) -> AppFile {
    let seen = site.path("logs").join(format!("{name}.json"));
    let app = site.app(name).tcp().with("app.py", WSGI).with("gunicorn.conf.py", SEES);
    app.env("SEEN", &seen.to_string_lossy()).env("NAME", name)
}

/// What each app's settings have seen, and the processes that theirs came of.
fn seen(site: &Site, apps: &[AppFile]) -> BTreeMap<String, Value> {
    site.check().exits(0);
    let read = |app: &AppFile| {
        let file = site.path("logs").join(format!("{}.json", app.name));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", app.name));
        fs::remove_file(&file).expect("it is there");
        (app.name.clone(), serde_json::from_str(&text).expect("it is JSON"))
    };
    apps.iter().map(read).collect()
}

/// The same of each app alone: it shares with nobody.
fn seen_alone(site: &Site, apps: &[AppFile]) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    apps.iter().for_each(|app| fs::remove_file(&app.file).expect("it is there"));
    for app in apps {
        let app = app.clone().write();
        all.append(&mut seen(site, std::slice::from_ref(&app)));
        fs::remove_file(&app.file).expect("it is there");
    }
    all
}

fn is_warm(seen: &Value) -> bool {
    seen["parent"].as_str().is_some_and(|it| it.contains("ostler: apps [settings]"))
}

/// Each app sees the same among others and alone; answers who was read by a warm interpreter.
#[track_caller]
fn nobody_can_tell(site: &Site, apps: Vec<AppFile>) -> Vec<String> {
    let apps: Vec<AppFile> = apps.into_iter().map(AppFile::write).collect();
    let (among, alone) = (seen(site, &apps), seen_alone(site, &apps));
    for (name, seen) in &among {
        for (what, found) in seen["seen"].as_object().expect("it is one") {
            assert_eq!(found, &alone[name]["seen"][what], "{name}: {what}");
        }
        assert!(!is_warm(&alone[name]), "{name}");
    }
    let numbers: std::collections::BTreeSet<String> =
        among.values().map(|seen| seen["random"].to_string()).collect();
    assert_eq!(numbers.len(), among.len(), "each has random numbers of its own");
    among.iter().filter(|(_, seen)| is_warm(seen)).map(|(name, _)| name.clone()).collect()
}

#[test]
fn settings_see_the_same_among_many_apps_as_alone() {
    for version in [Gunicorn::V20, Gunicorn::V27, Gunicorn::Newest] {
        if version == Gunicorn::Newest && newest_is_too_new() {
            continue;
        }
        let site = Site::new();
        let apps = vec![
            app(&site, "b").args(&["-k", "gthread", "--threads", "3"]).key("umask = \"027\""),
            app(&site, "c")
                .env("WEB_CONCURRENCY", "3")
                .env("PORT", "9999")
                .env("GUNICORN_CMD_ARGS", "--timeout 7"),
            app(&site, "d").env("FORWARDED_ALLOW_IPS", "*"),
            app(&site, "with-a-long-name-as-they-are-in-large-organisations"),
        ];
        let apps = apps.into_iter().map(|app| app.gunicorn(version)).collect();
        assert_eq!(nobody_can_tell(&site, apps).len(), 4, "{version:?}");
    }
}

#[test]
fn what_an_interpreter_looks_at_when_it_starts_is_looked_at_for_each_app() {
    let site = Site::new();
    let warm = nobody_can_tell(
        &site,
        vec![
            app(&site, "a"),
            app(&site, "b"),
            app(&site, "c").env("LANG", "de_DE.UTF-8").env("LC_ALL", "C.UTF-8"),
            app(&site, "d").env("PYTHONUNBUFFERED", "1"),
            app(&site, "e").env("PYTHONUNBUFFERED", "1"),
            app(&site, "f").env("PYTHONPATH", &site.path("nowhere").to_string_lossy()),
        ],
    );
    assert_eq!(warm, ["a", "b", "e"], "who starts like no other is read alone");
}

#[test]
fn an_interpreter_that_runs_code_of_its_own_at_each_start_is_started_for_each_app() {
    let site = Site::new();
    let custom = site.path("custom");
    fs::create_dir(&custom).expect("the site's folder is writable");
    fs::write(custom.join("sitecustomize.py"), "import os, sys\nsys.custom = os.environ.get('NAME')\n")
        .expect("it is new");
    for path in [&custom, &custom.join("sitecustomize.py")] {
        readable(path);
    }
    let with = |name: &str| app(&site, name).env("PYTHONPATH", &custom.to_string_lossy());
    assert!(nobody_can_tell(&site, vec![with("a"), with("b"), with("c")]).is_empty());

    let site = Site::new();
    let script = site.path("python");
    let text = format!("#!/bin/sh\nexport WRAPPED=$NAME\nexec {} \"$@\"\n", Gunicorn::V27.python().display());
    fs::write(&script, text).expect("it is new");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let with = |name: &str| app(&site, name).python(&script);
    assert!(nobody_can_tell(&site, vec![with("a"), with("b"), with("c")]).is_empty());
}

#[test]
fn settings_that_break_their_process_break_nobody_elses() {
    // The last kills the warm interpreter, if it came of it.
    for (breaks, words) in [
        ("import os\nos._exit(3)\n", "exit status 3"),
        ("workers = 'many'\n", "many"),
        (
            "import os\nparent = open('/proc/%d/cmdline' % os.getppid()).read()\n\
             if '[settings]' in parent: os.kill(os.getppid(), 9)\nraise ValueError('bad')\n",
            "ValueError: bad",
        ),
    ] {
        let site = Site::new();
        let others = ["a", "b", "d"].map(|name| app(&site, name).write());
        app(&site, "c").with("gunicorn.conf.py", breaks).write();
        let said = site.check().exits(78).says(&["error: c: ", words]);
        for other in &others {
            assert!(!said.err.contains(&format!("error: {}: ", other.name)), "{said}");
            assert!(site.path("logs").join(format!("{}.json", other.name)).exists(), "{}", other.name);
            fs::remove_file(&other.file).expect("it is there");
        }
        // In the words in which it is said of an app alone.
        assert_eq!(site.check().exits(78).err, said.err);
    }
}

#[test]
fn what_settings_leave_running_ends_with_their_process() {
    let site = Site::new();
    let pids = site.path("logs");
    let leaves = "import os, subprocess\nchild = subprocess.Popen(['sleep', '600'])\n\
                  open(os.environ['SEEN'], 'w').write(str(child.pid))\n";
    for name in ["a", "b", "c"] {
        app(&site, name).with("gunicorn.conf.py", leaves).write();
    }
    site.check().exits(0);
    for name in ["a", "b", "c"] {
        let pid = fs::read_to_string(pids.join(format!("{name}.json"))).expect("it was read");
        let process = Proc(pid.trim().parse().expect("a number"));
        until("what was started ends", || (!process.lives()).then_some(()));
    }
}
