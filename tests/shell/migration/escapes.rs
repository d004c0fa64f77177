//! Whoever leaves the command's group is found all the same.

use ostler::supervise::{Exit, MigrationFact, StopSignal};

use super::Rig;
use crate::support::{PYTHON, lives, until};

/// Ways to slip away; each writes its process's number to the file `slipped` and goes on for ever.
const WAYS: [(&str, &str); 7] = [
    ("a session of its own", "setsid sh -c 'echo $$ >slipped; exec sleep 600' & echo on; wait"),
    ("a shell in between", "sh -c 'sh -c \"echo \\$\\$ >slipped; exec sleep 600\"' ; true"),
    ("a double fork", "(setsid sh -c 'echo $$ >slipped; exec sleep 600' &) ; echo on; exec sleep 600"),
    (
        "without its environment, its parent alive",
        "setsid env -i sh -c 'echo $$ >slipped; exec sleep 600' & echo on; wait",
    ),
    (
        "ignoring every signal",
        "setsid sh -c 'trap \"\" INT TERM HUP; echo $$ >slipped; while :; do sleep 1; done' & echo on; wait",
    ),
    (
        "becoming another program all the time, without a parent",
        "echo 'exec /bin/sh ./again' >again; (setsid sh -c 'echo $$ >slipped; exec /bin/sh ./again' &) ; exec sleep 600",
    ),
    ("stopped", "setsid sh -c 'echo $$ >slipped; kill -STOP $$; exec sleep 600' & echo on; wait"),
];

async fn slipped(rig: &Rig) -> i32 {
    until("it has slipped away", || rig.text("slipped").ends_with('\n')).await;
    rig.text("slipped").trim().parse().unwrap()
}

#[tokio::test]
async fn a_kill_ends_all_of_it_whatever_it_did_to_get_away() {
    for (way, code) in WAYS {
        let mut rig = Rig::shell(code);
        rig.start().await;
        let pid = slipped(&rig).await;
        assert!(lives(pid), "{way}");
        rig.abort(StopSignal::Kill);
        rig.ended().await;
        assert!(!lives(pid), "{way}");
        assert_eq!(rig.left(), [0; 0], "{way}");
    }
}

#[tokio::test]
async fn a_daemon_that_a_good_command_leaves_is_killed_and_told() {
    let mut rig = Rig::shell("setsid sh -c 'echo $$ >slipped; exec sleep 600' & echo done");
    rig.start().await;
    let pid = slipped(&rig).await;
    assert_eq!(rig.ended().await, (Exit::Code(0), None));
    assert!(!lives(pid));
    let output = rig.output().await;
    assert_eq!(output[0], "done");
    assert!(output[1].contains(&format!("pid {pid} (sleep)")) && output[1].contains("killed"), "{output:?}");
}

#[tokio::test]
async fn what_ends_by_itself_a_moment_later_is_left_in_peace() {
    let mut rig = Rig::shell("(sleep 0.2; echo last) & echo first");
    rig.start().await;
    assert_eq!(rig.ended().await, (Exit::Code(0), None));
    assert_eq!(rig.output().await, ["first", "last"]);
}

#[tokio::test]
async fn who_was_seen_once_is_found_without_any_mark() {
    // Its environment is gone at once, its parent once it was seen; then nothing leads to it but memory.
    let code = format!(
        "{PYTHON} -IS -c \"\n\
         import os, time\n\
         if os.fork() == 0:\n\
         \x20   os.setsid()\n\
         \x20   if os.fork() == 0:\n\
         \x20       os.execve('/bin/sh', ['sh', '-c', 'echo \\$\\$ >slipped; exec sleep 600'], {{'PATH': '/usr/bin:/bin'}})\n\
         \x20   while not os.path.exists('go'): time.sleep(0.01)\n\
         \x20   os._exit(0)\n\
         time.sleep(600)\""
    );
    let mut rig = Rig::shell(&code);
    rig.start().await;
    let pid = slipped(&rig).await;
    // Two looks of the shell's, a second apart.
    let begun = std::time::Instant::now();
    until("it was looked for", || begun.elapsed().as_millis() > 2200).await;
    std::fs::write(rig.folder.path().join("go"), "").unwrap();
    let parent = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let first = parent();
    until("its parent is gone", || parent() != first).await;
    rig.abort(StopSignal::Kill);
    rig.ended().await;
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_bomb_of_forks_is_defused() {
    let mut rig = Rig::shell(
        "grow() { while :; do setsid sh -c 'sleep 0.05' & sleep 0.01; done; }; grow & grow & echo on; wait",
    );
    rig.start().await;
    assert_eq!(rig.next().await, MigrationFact::Wrote);
    rig.abort(StopSignal::Kill);
    assert_eq!(rig.ended().await.0, Exit::Signal(9));
    assert_eq!(rig.left(), [0; 0]);
}
