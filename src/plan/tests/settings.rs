use crate::config::{Address, Origin};
use crate::worker::Hook;

use super::*;

#[test]
fn a_plan_is_made_of_what_was_resolved() {
    let app = listening("args = [\"-k\", \"gthread\"]\n[probe]\npath = \"/healthz\"");
    let (plan, notes) = planned(&app, &facts(defaults()));
    let blueprint = &plan.blueprint;
    assert_eq!(blueprint.directory, Path::new("/srv/shop/releases/42"));
    assert_eq!(blueprint.python, Path::new("/srv/shop/releases/42/venv/bin/python"));
    assert_eq!(blueprint.entry, "shop.wsgi:application");
    assert_eq!(blueprint.args, ["-k", "gthread"]);
    assert_eq!(blueprint.account, Some(account("shop", 1001)));
    assert_eq!(blueprint.gunicorn, "23.0.0");
    assert_eq!(blueprint.release, Fingerprint { files: 3, newest: 5 });
    let probe = blueprint.probe.as_ref().unwrap();
    assert_eq!((probe.path.as_str(), probe.host.as_deref(), probe.asked), ("/healthz", None, true));
    assert_eq!(blueprint.umask, 0o022);
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn nobody_has_to_ask_for_a_probe_and_anybody_may_do_without() {
    let probe = |more: &str| planned(&listening(more), &facts(defaults())).0.blueprint.probe.clone();
    let unasked = probe("").unwrap();
    assert_eq!((unasked.path.as_str(), unasked.asked), ("/", false));
    let host = probe("[probe]\nhost = \"a.b\"").unwrap();
    assert_eq!((host.path.as_str(), host.asked, host.host.as_deref()), ("/", false, Some("a.b")));
    assert_eq!(probe("[probe]\nenabled = false\npath = \"/healthz\""), None);
}

#[test]
fn equal_facts_make_equal_plans() {
    let app = listening("");
    let facts = facts(defaults());
    assert_eq!(planned(&app, &facts), planned(&app, &facts));
}

#[test]
fn every_supported_class_is_known_by_its_family() {
    let classes = [
        ("sync", WorkerClass::Sync),
        ("gthread", WorkerClass::Gthread),
        ("gevent", WorkerClass::Gevent),
        ("tornado", WorkerClass::Tornado),
        ("asgi", WorkerClass::Asgi),
        ("uvicorn", WorkerClass::Uvicorn),
    ];
    for (family, class) in classes {
        let settings =
            Settings { family: Some(family.to_owned()), gunicorn: "27.0.0".to_owned(), ..defaults() };
        let (plan, notes) = planned(&listening(""), &facts(settings));
        assert_eq!(plan.blueprint.class, class);
        assert_eq!(plan.policy.quiet_drain.is_some(), class == WorkerClass::Sync);
        assert!(notes.is_empty(), "{notes:?}");
    }
}

#[test]
fn gunicorn_s_bind_counts_where_listen_is_not_set() {
    let bind = ["0.0.0.0:80", "unix:/run/shop.sock", "localhost:81", ":82", "[::1]", "[::1]:90", "127.0.0.2"];
    let bind = bind.map(str::to_owned).to_vec();
    let settings = Settings { bind, bind_set: true, ..defaults() };
    let of_code = Facts { unprivileged_port: 80, ..facts(settings.clone()) };
    let (plan, notes) = planned(&app(""), &of_code);
    assert!(plan.blueprint.listen.iter().all(|it| matches!(it.origin, Origin::Code)));
    let listen: Vec<String> = plan.blueprint.listen.iter().map(|listen| listen.address.to_string()).collect();
    let expected = [
        "0.0.0.0:80",
        "unix:/run/shop.sock",
        "127.0.0.1:81",
        "0.0.0.0:82",
        "[::1]:8000",
        "[::1]:90",
        "127.0.0.2:8000",
    ];
    assert_eq!(listen, expected);
    assert!(notes.is_empty(), "{notes:?}");

    let (plan, notes) = planned(&listening(""), &facts(settings));
    assert_eq!(plan.blueprint.listen[0].address, Address::Tcp("127.0.0.1:8000".parse().unwrap()));
    assert_eq!(notes, ["shop: gunicorn's bind is ignored: `listen` decides"]);
}

#[test]
fn a_unix_socket_s_mode_follows_gunicorn_s_umask_unless_it_is_said() {
    let modes = |more: &str, settings: Settings| -> Vec<Option<u32>> {
        let (plan, _) = planned(&listening(more), &facts(settings));
        plan.blueprint.listen.iter().map(|listen| listen.mode).collect()
    };
    let masked = Settings { umask: 0o007, umask_set: true, ..defaults() };
    assert_eq!(modes("", defaults()), [None, Some(0o666)]);
    assert_eq!(modes("", masked.clone()), [None, Some(0o770)]);
    assert_eq!(modes("socket_mode = 0o600", masked.clone()), [None, Some(0o600)]);
    assert_eq!(planned(&listening(""), &facts(masked.clone())).0.blueprint.umask, 0o007);
    assert_eq!(planned(&listening("umask = 0o077"), &facts(masked)).0.blueprint.umask, 0o077);
}

#[test]
fn what_gunicorn_says_and_ostlerd_does_not_do_is_noted_once_each() {
    let settings = Settings {
        ignored: ["daemon", "pidfile", "control_socket", "mystery"].map(str::to_owned).to_vec(),
        user_set: true,
        uid: 33,
        gid: 33,
        chdir: Some("/srv/elsewhere".to_owned()),
        master_hooks: ["on_exit", "pre_fork", "pre_exec", "mystery"].map(str::to_owned).to_vec(),
        ..defaults()
    };
    let (plan, notes) = planned(&listening(""), &facts(settings));
    assert_eq!(plan.blueprint.hooks, [Hook::PreFork, Hook::OnExit]);
    let expected = [
        "shop: gunicorn's daemon is not followed: ostlerd runs the workers and watches them",
        "shop: gunicorn's pidfile is not followed: there is no master whose pid it could hold; see `ostler status`",
        "shop: gunicorn's control_socket is not followed: the workers are controlled with `ostler`",
        "shop: gunicorn's mystery is not followed: it is about gunicorn's master, which does not run here",
        "shop: gunicorn's user and group (uid 33, gid 33) are ignored: the workers run as shop (uid 1001, gid 1001), \
         as `user` and `group` of /etc/ostler/apps.d/shop.toml say",
        "shop: the workers run in /srv/elsewhere, as gunicorn's chdir says, not in `directory`",
        "shop: the hook pre_fork runs in a process beside the workers, while its worker starts and not strictly \
         before; what the worker itself needs belongs into post_fork",
        "shop: the hook pre_exec does not run: it is about gunicorn's master replacing itself on SIGUSR2",
    ];
    assert_eq!(notes, expected);
}

#[test]
fn the_apps_file_decides_about_preload_and_gunicorn_where_it_does_not_say() {
    let preloads = |file: &str, preload_app: bool, conf: Option<&str>| {
        let settings = Settings { preload_app, conf: conf.map(str::to_owned), ..defaults() };
        planned(&listening(file), &facts(settings)).0.blueprint.preload
    };
    let (conf, none) = (Some("./gunicorn.conf.py"), None);
    for (without, file, preload_app) in [
        (Preload::Nothing, "", false),
        (Preload::App, "", true),
        (Preload::App, "preload = true", false),
        (Preload::Nothing, "preload = false", true),
    ] {
        assert_eq!(preloads(file, preload_app, none), without, "{file} {preload_app}");
        // Where a file of settings is run, it is run once.
        let with = if without == Preload::App { Preload::App } else { Preload::Settings };
        assert_eq!(preloads(file, preload_app, conf), with, "{file} {preload_app}");
    }
}

#[test]
fn a_chdir_into_the_release_and_the_same_user_are_nothing_to_note() {
    for chdir in ["/srv/shop/current", "/srv/shop/releases/42"] {
        let settings =
            Settings { chdir: Some(chdir.to_owned()), user_set: true, uid: 1001, gid: 1001, ..defaults() };
        assert!(planned(&listening(""), &facts(settings)).1.is_empty());
    }
}

#[test]
fn an_interpreter_cannot_flood_the_log() {
    let long: Vec<String> = vec!["x\u{1b}\n".repeat(1_000); 1_000];
    let settings = Settings {
        ignored: long.clone(),
        master_hooks: long,
        chdir: Some("\u{1b}".repeat(100_000)),
        gunicorn: format!("27.{}", "9".repeat(9)),
        ..defaults()
    };
    let (_, notes) = planned(&listening(""), &facts(settings));
    assert!(notes.len() < 100, "{}", notes.len());
    assert!(notes.iter().all(|note| note.len() < 5_000 && !note.contains(['\n', '\u{1b}'])), "{notes:?}");
}

#[test]
fn a_worker_can_have_so_many_requests_at_once_as_its_class_lets_it() {
    for (family, threads, capacity) in [
        ("sync", 1, Some(1)),
        ("gthread", 4, Some(4)),
        ("gthread", 0, Some(1)),
        ("gevent", 4, None),
        ("uvicorn", 1, None),
    ] {
        let settings = Settings { family: Some(family.to_owned()), threads, ..defaults() };
        let plan = planned(&listening(""), &facts(settings)).0;
        assert_eq!(plan.blueprint.capacity, capacity, "{family}");
    }
}
