use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use ostler::run::migration::History;
use ostler::supervise::{
    HistoryEntry, MigrationFact, MigrationOrder, Record, TroubleKind, Verdict, VerdictKind,
};

use super::Rig;
use crate::support::soon;

fn entry(run: usize, kind: Option<VerdictKind>) -> HistoryEntry {
    let verdict = kind.map(|kind| Verdict::of(kind, "because"));
    let record = Record { database: "default".to_owned(), verdict, ..Record::default() };
    HistoryEntry { run: run.to_string(), record, ..HistoryEntry::default() }
}

fn history(state: &Path) -> History {
    History::of(state, &"shop".parse().unwrap())
}

#[tokio::test]
async fn a_run_that_ostlerd_did_not_end_is_found_by_the_next() {
    let mut rig = Rig::django("");
    rig.open().await;
    let pending = vec!["shop.0001_initial".to_owned()];
    let begun = Record { database: "default".to_owned(), pending: pending.clone(), ..Record::default() };
    assert_eq!(rig.record(begun).await, MigrationFact::Recorded);
    // As after a crash: nothing more is written.
    soon(rig.migrations.close()).await;
    rig.order(MigrationOrder::Open(rig.opening.clone()));
    let MigrationFact::PastRead(past) = rig.next().await else { panic!() };
    let unfinished = past.unfinished.unwrap();
    assert_eq!((unfinished.database.as_str(), unfinished.pending), ("default", pending));
    let file = rig.folder.path().join("state/shop/migrations.jsonl");
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o640);
    assert_eq!(file.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o750);
}

#[test]
fn damaged_lines_are_left_out_and_the_next_line_is_whole() {
    let state = tempfile::tempdir().unwrap();
    let history = history(state.path());
    history.append(&entry(1, Some(VerdictKind::Applied))).unwrap();
    let file = state.path().join("shop/migrations.jsonl");
    let mut damaged = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
    damaged.write_all(b"\0\0\0\xff\n{\"run\": 7}\n[[[[\nnull\n{\"run\":\"2\",\"host\":\"half a li").unwrap();
    history.append(&entry(3, None)).unwrap();
    let runs: Vec<String> = history.runs().unwrap().into_iter().map(|run| run.run).collect();
    assert_eq!(runs, ["1", "3"]);
}

#[test]
fn a_file_of_garbage_is_no_history_and_no_panic() {
    let state = tempfile::tempdir().unwrap();
    let history = history(state.path());
    history.append(&entry(1, None)).unwrap();
    let garbage: Vec<u8> = (0..300_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(state.path().join("shop/migrations.jsonl"), garbage).unwrap();
    assert_eq!(history.runs().unwrap(), []);
    std::fs::write(state.path().join("shop/migrations.jsonl"), "[".repeat(5_000_000)).unwrap();
    assert_eq!(history.runs().unwrap(), []);
}

#[test]
fn the_file_stays_bounded_and_keeps_the_newest_and_what_matters() {
    let state = tempfile::tempdir().unwrap();
    let history = history(state.path());
    history.append(&entry(0, Some(VerdictKind::Dirty))).unwrap();
    for run in 1..400 {
        let mut entry = entry(run, Some(VerdictKind::Applied));
        entry.output = vec!["x".repeat(4096); 300];
        history.append(&entry).unwrap();
        let size = state.path().join("shop/migrations.jsonl").metadata().unwrap().len();
        assert!(size <= 1024 * 1024, "{size} after {run}");
    }
    let runs = history.runs().unwrap();
    assert_eq!(
        (runs[0].run.as_str(), runs[0].record.verdict.as_ref().unwrap().kind),
        ("0", VerdictKind::Dirty)
    );
    assert_eq!(runs.last().unwrap().run, "399");
    assert!(runs.len() > 15 && runs.last().unwrap().output.len() == 7, "{}", runs.len());
    assert!(ostler::supervise::Past::of(&runs).dirty.is_some());
}

#[test]
fn small_runs_are_kept_by_their_number() {
    let state = tempfile::tempdir().unwrap();
    let history = history(state.path());
    let mut most = 0;
    for run in 0..1000 {
        let mut entry = entry(run, Some(VerdictKind::Applied));
        entry.output = vec!["x".repeat(1500)];
        history.append(&entry).unwrap();
        most = most.max(run);
    }
    let runs = history.runs().unwrap();
    assert!(runs.len() >= 200 && runs.len() < 800, "{}", runs.len());
    assert_eq!(runs.last().unwrap().run, most.to_string());
}

#[tokio::test]
async fn a_folder_that_is_somebody_else_s_is_not_written_to() {
    let mut rig = Rig::django("");
    let folder = rig.folder.path().join("state/shop");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::write(folder.join("migrations.jsonl"), "").unwrap();
    rig.order(MigrationOrder::Open(rig.opening.clone()));
    let MigrationFact::DatabaseFailed(trouble) = rig.next().await else { panic!() };
    assert_eq!(trouble.kind, TroubleKind::Broken);
    assert!(trouble.message.contains("is not ostlerd's own"), "{trouble:?}");
    let MigrationFact::RecordFailed { reason } = rig.record(Record::default()).await else { panic!() };
    assert!(reason.contains("750"), "{reason}");
    assert_eq!(std::fs::read_to_string(folder.join("migrations.jsonl")).unwrap(), "");
}

#[tokio::test]
async fn a_link_in_the_place_of_the_history_is_not_followed() {
    let rig = Rig::django("");
    let history = rig.history();
    history.append(&entry(1, None)).unwrap();
    let file = rig.folder.path().join("state/shop/migrations.jsonl");
    let secret = rig.folder.path().join("secret");
    std::fs::rename(&file, &secret).unwrap();
    std::os::unix::fs::symlink(&secret, &file).unwrap();
    let before = std::fs::read(&secret).unwrap();
    assert!(history.append(&entry(2, None)).is_err());
    assert!(history.runs().is_err());
    assert_eq!(std::fs::read(&secret).unwrap(), before);
}

#[test]
fn a_full_disk_is_told_and_leaves_the_history_as_it_was() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("left out: only root can mount a small disk to fill");
        return;
    }
    let disk = SmallDisk::new();
    let Some(state) = disk.mounted() else {
        eprintln!("left out: this machine lets nobody mount");
        return;
    };
    let history = history(state);
    history.append(&entry(1, Some(VerdictKind::Applied))).unwrap();
    let mut ballast = std::fs::File::create(state.join("ballast")).unwrap();
    while ballast.write(&[b'x'; 4096]).is_ok_and(|count| count > 0) {}
    ballast.set_len(ballast.metadata().unwrap().len() - 8192).unwrap();
    drop(ballast);
    let mut large = entry(2, Some(VerdictKind::Applied));
    large.output = vec!["x".repeat(4000); 8];
    let refused = history.append(&large).unwrap_err().to_string();
    assert!(refused.contains("No space left") && refused.contains("make room"), "{refused}");
    assert_eq!(history.runs().unwrap().len(), 1);
    std::fs::remove_file(state.join("ballast")).unwrap();
    history.append(&large).unwrap();
    let text = std::fs::read_to_string(state.join("shop/migrations.jsonl")).unwrap();
    assert_eq!((history.runs().unwrap().len(), text.lines().count()), (2, 2));
}

/// A disk of 256 KiB that is gone with the test.
struct SmallDisk(tempfile::TempDir, bool);

impl SmallDisk {
    fn new() -> SmallDisk {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k,mode=755", "tmpfs"]).arg(folder.path());
        let mounted = mount.status().unwrap().success();
        SmallDisk(folder, mounted)
    }

    fn mounted(&self) -> Option<&Path> {
        self.1.then(|| self.0.path())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.1 {
            let _ = std::process::Command::new("umount").arg(self.0.path()).status();
        }
    }
}
