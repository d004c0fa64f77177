//! Laws of what the command reads and shows, for any bytes at all: `src/fuzzing` says who tries them.

use std::collections::BTreeMap;
use std::path::Path;

use super::import::{FileAccess, Overrides, SourceFile, import};
use super::screen::{Screen, plain, set_off};
use super::{follow, history, progress, sentence, table};
use crate::config::fuzzing::{Law, is_harmless};
use crate::config::parse_app;
use crate::control::StreamLine;
use crate::control::protocol::line;
use crate::observe::Status;
use crate::supervise::HistoryEntry;

/// What holds for any bytes, by name.
pub(crate) const LAWS: &[Law] = &[
    ("control_line", answered),
    ("shown_status", shown_status),
    ("shown_history", shown_history),
    ("import", imported),
    ("import_image", imported_image),
    ("edge", super::edge::hostile),
];

const PLAIN: Screen = Screen { live: false, colour: false };

/// A line from another ostlerd, which may be newer, and what is told of it.
fn answered(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut progress = progress::Progress::default();
    match StreamLine::parse(&text) {
        StreamLine::Event(event) => {
            let said = sentence::sentence(PLAIN, &event);
            assert!(is_harmless(&said) && !said.contains('\n'), "{said:?}");
            progress.note(&event.kind);
            let again = StreamLine::parse(std::str::from_utf8(&line(&event)).expect("it is JSON").trim_end());
            assert!(matches!(again, StreamLine::Event(_)), "{again:?}");
        }
        StreamLine::Outcome(outcome) => {
            for whole in [true, false] {
                let said = follow::explanation(&outcome, None, whole);
                assert!(is_harmless(&said), "{said:?}");
            }
            let again =
                StreamLine::parse(std::str::from_utf8(&line(&outcome)).expect("it is JSON").trim_end());
            assert!(matches!(again, StreamLine::Outcome(_)), "{again:?}");
        }
        StreamLine::Lagged(_) | StreamLine::Error(..) | StreamLine::Unknown(_) => {}
    }
    let off = set_off(&text);
    assert!(is_harmless(&off) && off.lines().all(|line| line.starts_with("    ")), "{off:?}");
}

fn shown_status(bytes: &[u8]) {
    let Ok(status) = serde_json::from_slice::<Status>(bytes) else { return };
    for whole in [true, false] {
        let said = table::render(&status, PLAIN, whole);
        assert!(is_harmless(&said), "{said:?}");
    }
}

fn shown_history(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n');
    let runs: Vec<HistoryEntry> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let said = history::render(&HistoryEntry::runs(runs), PLAIN);
    assert!(is_harmless(&said), "{said:?}");
}

/// What starts gunicorn on a machine.
fn imported(bytes: &[u8]) {
    const PATHS: [&str; 6] = [
        "/etc/systemd/system/shop@x.service",
        "/srv/shop/Procfile",
        "/etc/supervisor/conf.d/shop.conf",
        "/srv/start.sh",
        "/srv/gunicorn.conf.py",
        "/etc/systemd/system/shop@.socket",
    ];
    import_of(&PATHS, bytes);
}

/// What starts it in an image.
fn imported_image(bytes: &[u8]) {
    const PATHS: [&str; 3] = ["/srv/shop/Dockerfile", "/srv/shop/config.json", "/srv/shop/compose.yaml"];
    import_of(&PATHS, bytes);
}

/// The first byte is which kind of file it is, a second file follows a NUL.
fn import_of(paths: &[&str], bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let path = paths[usize::from(*kind) % paths.len()];
    let source = |path: &str, text: &str| SourceFile { path: path.into(), text: text.to_owned() };
    let (first, more) = text.split_once('\0').unwrap_or((&text, ""));
    let sources = match more {
        "" => vec![source(path, first)],
        more => vec![source(path, first), source("/srv/gunicorn.conf.py", more)],
    };
    let say = |bit: u8, text: &str| (kind & bit != 0).then(|| text.to_owned());
    let given = Overrides {
        name: say(16, "shop"),
        app: say(32, "shop.wsgi"),
        python: say(64, "/v/bin/python"),
        image: say(64, "registry.example.com/shop:43"),
        service: None,
        directory: say(128, "/srv/shop"),
        user: Some("shop".to_owned()),
        listen: say(64, "127.0.0.1:8000").into_iter().collect(),
        set: BTreeMap::from([("PORT".to_owned(), "8000".to_owned()), ("(nproc)".to_owned(), "2".to_owned())]),
    };
    let exists = |path: &Path| path == Path::new("/srv/shop/venv/bin/python");
    let read = |path: &Path| {
        ["/srv/start.sh", "/srv/shop/start.sh"]
            .iter()
            .any(|it| path == Path::new(it))
            .then(|| more.to_owned())
    };
    match import(&sources, &given, &FileAccess { exists: &exists, read: &read }) {
        Ok(imported) => {
            assert!(is_harmless(&imported.text), "{:?}", imported.text);
            assert!(!imported.text.contains(['\u{e000}', '\u{e001}']), "{}", imported.text);
            assert!(imported.text.len() <= (16 << 10) + 64 * bytes.len(), "{} bytes", imported.text.len());
            let file = Path::new("/etc/ostler/apps.d/shop.toml");
            let read = parse_app(&imported.name, &imported.text, file, true);
            assert!(
                read.is_ok(),
                "{}\n{}",
                imported.text,
                read.err().map(|it| it.to_string()).unwrap_or_default()
            );
        }
        Err(error) => {
            let said = error.to_string();
            let said = plain(&said);
            assert!(said.len() > 20 && is_harmless(&said), "{said:?}");
        }
    }
}
