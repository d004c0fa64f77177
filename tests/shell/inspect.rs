use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use ostler::run::inspect::{Inspection, inspect, inspect_within};

use crate::support::{children, lives, nobody, script, soon, until};

const PRELUDE: &str = r#"#!/usr/bin/python3 -IS
import json, os, sys, time
orders = json.loads(os.pread(4, 65536, 0))
def say(**message): os.write(5, json.dumps(message).encode() + b"\n")
settings = dict(gunicorn="27.0.1", python="3.11.2", class_name="gthread", family="gthread", workers=2, bind=["127.0.0.1:8000"],
    threads=1, bind_set=False, workers_set=False, backlog=2048, timeout=30, graceful_timeout=30, keepalive=2, max_requests=0,
    max_requests_jitter=0, umask=0, umask_set=False, uid=0, gid=0, user_set=False, chdir=None, preload_app=False,
    ignored=[], master_hooks=[])
"#;

fn inspection(folder: &Path, code: &str) -> Inspection {
    Inspection {
        app: "shop".parse().unwrap(),
        python: script(folder, "python", &format!("{PRELUDE}{code}\n")),
        directory: folder.to_owned(),
        entry: "shop.wsgi:application".to_owned(),
        args: vec!["--threads".to_owned(), "4".to_owned()],
        env: [("A".to_owned(), "b".to_owned())].into(),
        account: None,
        umask: 0o022,
        image: None,
    }
}

#[tokio::test]
async fn settings_are_what_the_interpreter_says() {
    let folder = tempfile::tempdir().unwrap();
    let asked = inspection(
        folder.path(),
        "assert orders['mode'] == 'inspect' and orders['listeners'] == []\n\
         settings['ignored'] = orders['args'] + [os.environ['A'], os.getcwd()]\n\
         print('noise'); print('noise', file=sys.stderr)\n\
         say(event='settings', **settings)",
    );
    let settings = soon(inspect(&children(), &asked)).await.unwrap();
    assert_eq!((settings.family.as_deref(), settings.workers), (Some("gthread"), 2));
    assert_eq!(settings.ignored, ["--threads", "4", "b", folder.path().to_str().unwrap()]);
}

#[tokio::test]
async fn a_failure_is_told_in_the_interpreters_words() {
    let folder = tempfile::tempdir().unwrap();
    let code = "say(event='failed', stage='settings', message='no such option', traceback='Traceback …')\nos._exit(1)";
    let refusal = soon(inspect(&children(), &inspection(folder.path(), code))).await.unwrap_err();
    assert_eq!((refusal.reason.as_str(), refusal.detail.as_str()), ("no such option", "Traceback …"));
}

#[tokio::test]
async fn an_interpreter_that_dies_silently_shows_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let code = "sys.stderr.write('x' * 100000 + '\\nMemoryError\\n'); sys.stderr.flush(); os._exit(1)";
    let refusal = soon(inspect(&children(), &inspection(folder.path(), code))).await.unwrap_err();
    assert!(refusal.reason.contains("exit status 1"), "{refusal:?}");
    assert!(refusal.detail.ends_with("\nMemoryError"), "{refusal:?}");
    assert!(refusal.detail.len() <= 16 * 1024);
}

#[tokio::test]
async fn an_interpreter_that_cannot_be_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut asked = inspection(folder.path(), "");
    asked.python = "/no/such/python".into();
    let refusal = soon(inspect(&children(), &asked)).await.unwrap_err();
    assert!(refusal.reason.starts_with("cannot run /no/such/python"), "{refusal:?}");
    if let Some(account) = nobody() {
        asked.python = "/usr/bin/python3".into();
        asked.account = Some(account);
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let refusal = soon(inspect(&children(), &asked)).await.unwrap_err();
        assert!(refusal.reason.contains("as user nobody: Permission denied"), "{refusal:?}");
    }
}

#[tokio::test]
async fn an_interpreter_that_waits_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let asked = inspection(
        folder.path(),
        "child = os.fork()\n\
         if child: open('child', 'w').write('%d' % child)\n\
         time.sleep(600)",
    );
    let refusal = soon(inspect_within(&children(), &asked, Duration::from_secs(1))).await.unwrap_err();
    assert!(refusal.reason.contains("has not read its settings within 1s"), "{refusal:?}");
    let child = std::fs::read_to_string(folder.path().join("child")).unwrap().parse().unwrap();
    until("what it started ends", || !lives(child)).await;
}

#[tokio::test]
async fn an_inspection_that_nobody_waits_for_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let asked = inspection(
        folder.path(),
        "open('writing', 'w').write('%d' % os.getpid()); os.rename('writing', 'pid'); time.sleep(600)",
    );
    let children = children();
    let task = tokio::spawn(async move { inspect(&children, &asked).await });
    let file = folder.path().join("pid");
    until("it starts", || file.exists()).await;
    let pid = std::fs::read_to_string(&file).unwrap().parse().unwrap();
    task.abort();
    until("it ends", || !lives(pid)).await;
}
