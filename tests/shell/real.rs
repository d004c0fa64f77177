//! The same with real gunicorn, where the environments of `tests/venvs.sh` are there.

use std::io::{Read, Write};
use std::path::PathBuf;

use ostler::config::Address;
use ostler::run::inspect::{Inspection, inspect};
use ostler::run::listeners::SocketName;
use ostler::supervise::StopSignal;

use crate::support::{children, soon};
use crate::worker::{App, all, words};

const CODE: &str =
    "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n";

/// The interpreters of every version of gunicorn that is installed.
fn interpreters() -> Vec<(&'static str, PathBuf)> {
    let root = std::env::var_os("OSTLER_VENVS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/venvs"), PathBuf::from);
    let found: Vec<_> = ["20.1", "23", "27"]
        .map(|version| (version, root.join(format!("gunicorn-{version}/bin/python"))))
        .into_iter()
        .filter(|(_, python)| python.exists())
        .collect();
    if found.is_empty() {
        eprintln!("skipped: no gunicorn in {}; run tests/venvs.sh", root.display());
    }
    found
}

fn folder(code: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("shop")).unwrap();
    std::fs::write(folder.path().join("shop/__init__.py"), "").unwrap();
    std::fs::write(folder.path().join("shop/wsgi.py"), code).unwrap();
    folder
}

/// An app without a probe that logs into its own folder.
fn app(python: PathBuf, code: &str, listen: &[Address]) -> App {
    let mut app = App::run_by(python, folder(code), listen);
    let blueprint = std::sync::Arc::get_mut(&mut app.blueprint).unwrap();
    blueprint.probe = None;
    blueprint.log_file = Some(app.folder.path().join("log"));
    app
}

#[tokio::test]
async fn a_worker_of_each_gunicorn_is_held_admitted_serves_and_drains() {
    for (version, python) in interpreters() {
        let app = app(python, CODE, &[Address::Tcp("127.0.0.1:0".parse().unwrap())]);
        let (handle, mut events) = app.start(true);
        assert_eq!(words(&soon(events.recv()).await.unwrap()), "w17 proved", "{version}");
        assert_eq!(words(&soon(events.recv()).await.unwrap()), "w17 loaded", "{version}");
        handle.admit().unwrap();
        assert_eq!(words(&soon(events.recv()).await.unwrap()), "w17 ready", "{version}");
        let SocketName::Inet(_, port) = app.listeners.all()[0].name else { panic!("{version}") };
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        let answer = soon(answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("hello"), "{version}: {answer}");
        handle.signal(StopSignal::Terminate).unwrap();
        assert_eq!(all(events).await, ["w17 exited: exit status 0"], "{version}");
    }
}

#[tokio::test]
async fn an_app_that_does_not_import_says_so_before_its_worker_exits() {
    for (version, python) in interpreters() {
        let app = app(python, "import no_such_module\n", &[]);
        let told = all(app.start(true).1).await;
        assert!(told[0].contains("No module named 'no_such_module'"), "{version}: {told:?}");
        assert_eq!(told[1..], ["w17 exited: exit status 3"], "{version}");
    }
}

#[tokio::test]
async fn each_gunicorn_tells_its_settings() {
    for (version, python) in interpreters() {
        let folder = folder(CODE);
        let mut asked = Inspection {
            app: "shop".parse().unwrap(),
            python,
            directory: folder.path().to_owned(),
            entry: "shop.wsgi:application".to_owned(),
            args: ["-k", "gthread", "--threads", "4"].map(str::to_owned).into(),
            env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            account: None,
            umask: 0o022,
            image: None,
        };
        let settings = soon(inspect(&children(), &asked)).await.unwrap();
        assert!(settings.gunicorn.starts_with(version), "{settings:?}");
        assert_eq!(settings.family.as_deref(), Some("gthread"), "{version}");
        asked.args = vec!["--no-such-option".to_owned()];
        let refusal = soon(inspect(&children(), &asked)).await.unwrap_err();
        let told = format!("{} {}", refusal.reason, refusal.detail);
        assert!(told.contains("--no-such-option"), "{version}: {told}");
    }
}
