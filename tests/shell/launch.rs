use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use ostler::supervise::Exit;

use crate::support::{nobody, python, run, run_json, shell, spec};

const TELL: &str = r#"
import json, os, resource, signal, sys
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines())
fds = {}
for name in os.listdir("/proc/self/fd"):
    try:
        fds[name] = os.readlink("/proc/self/fd/" + name)
    except FileNotFoundError:
        pass  # the listing's own
os.write(5, json.dumps({
    "fds": fds, "env": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv, "umask": os.umask(0),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "ids": os.getresuid() + os.getresgid(),
    "groups": os.getgroups(), "leader": os.getsid(0) == os.getpgid(0) == os.getpid(),
    "blocked": status["SigBlk"], "ignored": status["SigIgn"], "caught": status["SigCgt"],
    "no_new_privs": status["NoNewPrivs"], "oom_score_adjust": int(open("/proc/self/oom_score_adj").read()),
}).encode())
"#;

#[tokio::test]
async fn a_program_gets_its_descriptors_at_their_numbers_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<File> =
        (0..6).map(|i| File::create_new(folder.path().join(i.to_string())).unwrap()).collect();
    // One that is inheritable, as ostlerd may have got it from whoever started it.
    let inherited = nix::unistd::dup(&files[0]).unwrap();
    let targets = [8, 3, 12, 4, 7, 6];
    let fds: Vec<_> = files.iter().map(AsFd::as_fd).zip(targets).collect();
    let told = run_json(&python(TELL), &fds).await;
    drop(inherited);
    let fds = told["fds"].as_object().unwrap();
    let mut numbers: Vec<i32> = fds.keys().map(|key| key.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 12], "{fds:?}");
    for (i, target) in targets.iter().enumerate() {
        let path = folder.path().join(i.to_string());
        assert_eq!(fds[&target.to_string()], path.to_str().unwrap());
    }
    assert_eq!(fds["0"], "/dev/null");
    assert_eq!(fds["1"], fds["2"]);
}

#[tokio::test]
async fn a_program_gets_nothing_but_what_its_orders_say() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = python(TELL);
    spec.argv.push("shop".to_owned());
    spec.env = [("LANG", "C.UTF-8"), ("EMPTY", ""), ("ODD", "a=b c")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    spec.directory = folder.path().canonicalize().unwrap();
    spec.umask = 0o037;
    (spec.limits.nofile, spec.limits.oom_score_adjust) = (Some(321), Some(654));
    let told = run_json(&spec, &[]).await;
    // -I makes Python ignore its own variables; LC_CTYPE is its own addition where LANG is C.
    let env = serde_json::json!({"LANG": "C.UTF-8", "EMPTY": "", "ODD": "a=b c"});
    assert_eq!(told["env"], env);
    assert_eq!(told["cwd"], spec.directory.to_str().unwrap());
    assert_eq!(told["argv"], serde_json::json!(["-c", "shop"]));
    assert_eq!(told["umask"], 0o037);
    assert_eq!(told["nofile"], serde_json::json!([321, 321]));
    assert_eq!(told["oom_score_adjust"], 654);
    assert_eq!(told["leader"], true);
    assert_eq!(told["no_new_privs"], "1");
}

#[tokio::test]
async fn a_program_may_gain_privileges_only_where_its_orders_say_so() {
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("NoNewPrivs:\t")).unwrap().to_owned();
    let mut spec = python(TELL);
    spec.no_new_privs = false;
    assert_eq!(run_json(&spec, &[]).await["no_new_privs"], own, "as whoever started it");
    spec.no_new_privs = true;
    assert_eq!(run_json(&spec, &[]).await["no_new_privs"], "1");
}

#[tokio::test]
async fn a_program_starts_with_default_signals_and_an_empty_mask() {
    // Of a program that sets none itself: Python ignores SIGPIPE and SIGXFSZ.
    let told = run(&shell("cat /proc/self/status >&5"), &[]).await.0;
    for field in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(told.contains(&format!("{field}:\t0000000000000000\n")), "{told}");
    }
}

#[tokio::test]
async fn a_program_runs_as_its_account_with_exactly_its_groups() {
    let Some(account) = nobody() else { return };
    let mut spec = python(TELL);
    spec.account = Some(account.clone());
    let told = run_json(&spec, &[]).await;
    let (uid, gid) = (account.uid, account.gid);
    assert_eq!(told["ids"], serde_json::json!([uid, uid, uid, gid, gid, gid]));
    let mut groups: Vec<u64> =
        told["groups"].as_array().unwrap().iter().map(|group| group.as_u64().unwrap()).collect();
    groups.sort_unstable();
    assert_eq!(groups, [4242, u64::from(gid)]);
}

#[tokio::test]
async fn a_log_file_is_appended_to_and_belongs_to_the_account() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let log = folder.path().join("shop.log");
    let mut spec = shell("echo out; echo err >&2");
    spec.account = nobody();
    spec.log_file = Some(log.clone());
    for _ in 0..2 {
        assert_eq!(run(&spec, &[]).await.1, Exit::Code(0));
    }
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "out\nerr\nout\nerr\n");
    let meta = log.metadata().unwrap();
    assert_eq!(meta.mode() & 0o777, 0o640);
    assert_eq!(meta.uid(), spec.account.map_or(nix::unistd::geteuid().as_raw(), |account| account.uid));
}

async fn refused(spec: &ostler::run::launch_spec::LaunchSpec) -> (String, Exit) {
    let (told, exit) = run(spec, &[]).await;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told:?}"));
    assert_eq!((&told["event"], &told["stage"]), (&"failed".into(), &"launch".into()));
    (told["message"].as_str().unwrap().to_owned(), exit)
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let (message, exit) = refused(&spec(&["/usr/bin/no-such-python"])).await;
    assert!(message.starts_with("cannot run /usr/bin/no-such-python as uid "), "{message}");
    assert!(
        message.ends_with(": No such file or directory: /usr/bin/no-such-python is not there"),
        "{message}"
    );
    assert_eq!(exit, Exit::Code(127));
    let (message, _) = refused(&spec(&["/no-such-folder/venv/bin/python"])).await;
    assert!(message.ends_with("the directory /no-such-folder is not there"), "{message}");
}

#[tokio::test]
async fn a_missing_working_directory_is_named() {
    let mut spec = shell("true");
    spec.directory = "/no-such-folder/current".into();
    let (message, exit) = refused(&spec).await;
    assert!(message.starts_with("cannot enter /no-such-folder/current as uid "), "{message}");
    assert!(message.ends_with("the directory /no-such-folder is not there"), "{message}");
    assert_eq!(exit, Exit::Code(126));
}

#[tokio::test]
async fn what_the_account_may_not_enter_is_named_through_links() {
    let Some(account) = nobody() else { return };
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    let closed = folder.path().join("closed");
    for (path, mode) in [(folder.path(), 0o755), (&open, 0o755), (&closed, 0o700)] {
        std::fs::create_dir_all(path).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    crate::program::copy("/bin/true", &closed.join("python"));
    std::os::unix::fs::symlink("../closed/python", open.join("python")).unwrap();
    let mut spec = spec(&[open.join("python").to_str().unwrap()]);
    spec.account = Some(account);
    let (message, exit) = refused(&spec).await;
    assert!(message.contains("as user nobody: Permission denied: the directory"), "{message}");
    assert!(message.ends_with("closed can't be entered"), "{message}");
    assert_eq!(exit, Exit::Code(126));
    spec.directory = closed.join("releases");
    let (message, _) = refused(&spec).await;
    assert!(message.starts_with("cannot enter "), "{message}");
    assert!(message.ends_with("closed can't be entered"), "{message}");
}

#[tokio::test]
async fn a_log_file_that_cannot_be_written_is_named() {
    let mut spec = shell("true");
    spec.log_file = Some("/no-such-folder/shop.log".into());
    let (message, exit) = refused(&spec).await;
    assert!(message.starts_with("cannot write the log file /no-such-folder/shop.log as uid "), "{message}");
    assert!(message.ends_with("the directory /no-such-folder is not there"), "{message}");
    assert_eq!(exit, Exit::Code(126));
}

#[tokio::test]
async fn a_script_whose_interpreter_is_missing_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = crate::support::script(folder.path(), "python", "#!/no/such/interpreter\n");
    let (message, exit) = refused(&spec(&[path.to_str().unwrap()])).await;
    assert!(message.ends_with("the interpreter that its first line names is not"), "{message}");
    assert_eq!(exit, Exit::Code(127));
}

#[tokio::test]
async fn a_secret_is_not_told_in_a_refusal() {
    let mut spec = shell("true");
    spec.env = [("PASSWORD".to_owned(), "hush\0".to_owned())].into();
    let (message, exit) = refused(&spec).await;
    assert_eq!(message, "cannot run /bin/sh: the variable \"PASSWORD\" holds a NUL byte");
    assert_eq!(exit, Exit::Code(126));
}

#[test]
fn the_launcher_started_by_hand_says_what_it_is() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_ostlerd"))
        .arg("__launch")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(126));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is started by ostlerd alone"), "{output:?}");
}
