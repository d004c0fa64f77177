//! Laws of what workers, other processes and earlier ostlerds leave to be read, for any bytes at all: `src/fuzzing.rs` says
//! who tries them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::messages::{Messages, last_words, shown};
use super::proc::{cgroup_in, law_of_stat};
use super::state::SavedState;
use super::{handover, holder, listen_queue, memory, migration, scoreboard};
use crate::config::fuzzing::{Law, is_harmless};
use crate::config::parse_app;
use crate::plan::{Account, Facts, ReleasePaths, prepare};
use crate::supervise::{Event, FoundProcess, Moment, ReleaseRecord, SlotStage, Supervisor};
use crate::worker::{Message, SLOT_SIZE, Settings};

/// What holds for any bytes, by name.
pub(crate) const LAWS: &[Law] = &[
    ("worker_messages", worker_messages),
    ("settings", settings),
    ("scoreboard", slot),
    ("database_messages", migration::law_of_database),
    ("command_messages", migration::law_of_command),
    ("output", migration::law_of_output),
    ("history", migration::law_of_history),
    ("stat", stat),
    ("state", state),
    ("link_record", link_record),
    ("kernel", kernel),
    ("environment", environment),
];

fn worker_messages(bytes: &[u8]) {
    let received = |size: usize| {
        let mut messages = Messages::default();
        let all: Vec<Message> = bytes.chunks(size).flat_map(|part| messages.push(part)).collect();
        (all, messages.strange)
    };
    let whole = received(bytes.len().max(1));
    assert_eq!(whole, received(7), "it depends on the pieces in which it comes");
    for message in &whole.0 {
        match message {
            Message::Failed(failed) => {
                let words = last_words(failed);
                assert!(!words.message.trim().is_empty() && words.message.len() <= 4099, "{words:?}");
                assert!(is_harmless(&words.message) && is_harmless(&words.traceback), "{words:?}");
            }
            Message::Settings(settings) => decided(settings),
            _ => {}
        }
    }
    let text = String::from_utf8_lossy(bytes);
    for most in [0, 1, 40] {
        let short = shown(&text, most);
        assert!(short.len() <= most + 3 && is_harmless(&short), "{short:?}");
    }
}

fn settings(bytes: &[u8]) {
    if let Ok(settings) = serde_json::from_slice(bytes) {
        decided(&settings);
    }
}

/// What is decided from settings that an app's interpreter has told.
fn decided(settings: &Settings) {
    let account = |name: &str, uid| Account {
        name: name.to_owned(),
        uid,
        gid: uid,
        groups: vec![uid],
        home: Path::new("/home").join(name),
    };
    for more in ["", "listen = [\"127.0.0.1:8000\"]\nworkers = \"auto\"", "[migrate]\nenabled = true"] {
        let text = format!(
            "directory = \"/srv/shop\"\npython = \"/srv/shop/venv/bin/python\"\napp = \"shop.wsgi\"\nuser = \"shop\"\n{more}"
        );
        let name = "shop".parse().expect("it is a name");
        let Ok(app) = parse_app(&name, &text, Path::new("/etc/ostler/apps.d/shop.toml"), true) else {
            continue;
        };
        let facts = Facts {
            settings: settings.clone(),
            paths: ReleasePaths {
                directory: app.directory.clone(),
                python: app.python.clone().unwrap_or_default(),
                env_files: Vec::new(),
                log_file: None,
                image: None,
            },
            account: Some(account("shop", 1000)),
            own: account("root", 0),
            cpus: 4,
            env_files: Vec::new(),
            release: Default::default(),
            unprivileged_port: 1024,
            manage_py: true,
        };
        let (prepared, notes) = prepare(&app, &facts);
        let refusal = prepared.as_ref().err().map(|it| it.to_string());
        for words in notes.iter().chain(&refusal) {
            assert!(words.len() < 8192, "{} bytes", words.len());
            assert!(!words.contains(['\u{1b}', '\0', '\u{202e}']), "{words:?}");
        }
        assert!(notes.len() < 100, "{} notes", notes.len());
        if let Ok(plan) = prepared {
            // The next ostlerd reads it from the state.
            let kept = serde_json::to_vec(&plan).expect("its keys are text");
            assert_eq!(
                serde_json::from_slice::<crate::plan::AppPlan>(&kept).expect("as it was written"),
                plan
            );
        }
    }
}

/// The first eight bytes are the time of the look, the rest is the page.
fn slot(bytes: &[u8]) {
    let mut page = [0; SLOT_SIZE];
    let (now, rest) = bytes.split_at(bytes.len().min(8));
    let now = now.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    let length = rest.len().min(SLOT_SIZE);
    page[..length].copy_from_slice(&rest[..length]);
    let mut head = [0; 16];
    head.copy_from_slice(&page[..16]);
    let stage = scoreboard::stage(&head);
    if let Some(seen) = scoreboard::observe(&page, now) {
        assert!(!matches!(stage, None | Some(SlotStage::Empty)), "{stage:?}");
        assert!(seen.in_flight <= 504 + (1 << 20), "{seen:?}");
        let most = Duration::from_nanos(now);
        assert!(seen.beat_age <= most && seen.oldest_request.is_none_or(|age| age <= most), "{seen:?}");
    }
}

/// `state.json` that is damaged, and what the core makes of it; the first byte is who of the workers is still there.
fn state(bytes: &[u8]) {
    let Some((there, text)) = bytes.split_first() else { return };
    let Ok(kept) = serde_json::from_slice::<SavedState>(text) else { return };
    let written = serde_json::to_vec(&kept).expect("its keys are text");
    serde_json::from_slice::<SavedState>(&written).expect("what is written is read");
    let stages = [
        None,
        Some(SlotStage::Empty),
        Some(SlotStage::Booting),
        Some(SlotStage::Ready),
        Some(SlotStage::Draining),
    ];
    let found: BTreeMap<_, _> = kept
        .snapshot
        .processes()
        .enumerate()
        .map(|(at, (_, worker, ..))| {
            let alive = there.rotate_left(at as u32 % 8) & 1 == 1;
            (worker, FoundProcess { alive, stage: stages[(at + usize::from(*there)) % stages.len()] })
        })
        .collect();
    let mut now = Moment::at(Duration::from_nanos(kept.origin));
    let mut core = Supervisor::adopt(kept.snapshot, &found, now, 7);
    for _ in 0..20 {
        core.handle(now, Event::TimePassed);
        let _ = serde_json::to_vec(&core.snapshot()).expect("its keys are text");
        let _ = core.view(now);
        now = core.next_deadline().unwrap_or(now).max(now);
    }
}

fn link_record(bytes: &[u8]) {
    let Ok(mut record) = serde_json::from_slice::<ReleaseRecord>(bytes) else { return };
    let again =
        serde_json::from_slice(&serde_json::to_vec(&record).expect("paths of text")).expect("as written");
    assert_eq!(record, again);
    record.keep(Path::new("/srv/shop/releases/2"));
    assert_eq!(record.serving.as_deref(), Some(Path::new("/srv/shop/releases/2")));
    assert!(record.unproven.is_none() && record.before != record.serving, "{record:?}");
    let kept = record.clone();
    record.keep(Path::new("/srv/shop/releases/2"));
    assert_eq!(record, kept);
}

/// A process, which calls itself as it likes.
fn stat(bytes: &[u8]) {
    law_of_stat(bytes);
    migration::law_of_names(bytes);
}

/// What the kernel's tables say, in which other people choose some words.
fn kernel(bytes: &[u8]) {
    listen_queue::diag::answer(bytes);
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        for wanted in ["127.0.0.1:8000", "[::1]:8000", "0.0.0.0:8000"] {
            holder::listening_inode(line, wanted.parse().expect("it is an address"));
        }
    }
    cgroup_in(&text);
    memory::machine(&text);
}

/// The names of sockets that a re-execution hands on.
fn environment(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let pairs = handover::names_of(&text);
    assert!(pairs.len() <= text.split(':').count() / 2);
    let written: Vec<String> = pairs.iter().map(|(number, name)| format!("{number}:{name}")).collect();
    assert_eq!(handover::names_of(&written.join(":")), pairs);
}

#[cfg(test)]
mod tests {
    use super::SavedState;

    /// What an ostlerd of this format has written; if one is not read any more, the format's version has to be raised.
    #[test]
    fn what_is_written_down_in_this_format_is_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/state");
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let read = serde_json::from_slice::<SavedState>(&std::fs::read(&path).unwrap()[1..]);
            let kept = read.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(kept.snapshot.processes().count() > 0, "{}", path.display());
        }
    }
}
