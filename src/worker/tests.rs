use super::*;

#[test]
fn the_bundle_is_an_array_of_named_sources_that_ends_with_main() {
    let modules: Vec<(String, String)> = serde_json::from_slice(&bundle()).unwrap();
    assert_eq!(modules.last().unwrap().0, "main");
    assert!(modules.iter().all(|(_, source)| !source.is_empty()));
}

#[test]
fn every_module_imports_only_earlier_ones() {
    let modules: Vec<(String, String)> = serde_json::from_slice(&bundle()).unwrap();
    for (index, (name, source)) in modules.iter().enumerate() {
        for line in source.lines().filter(|line| line.starts_with("from _ostler")) {
            let of_package = line.strip_prefix("from _ostler import ").map(str::to_owned);
            let of_module = line.strip_prefix("from _ostler.").and_then(|rest| rest.split(' ').next());
            let imported = of_package.unwrap_or_else(|| of_module.unwrap().to_owned());
            for module in imported.split(", ") {
                assert!(
                    modules[..index].iter().any(|(earlier, _)| earlier == module),
                    "{name} imports {module}"
                );
            }
        }
    }
}

#[test]
fn orders_have_the_shape_of_the_contract() {
    let mut orders = Orders::worker("shop", 17, 3, SlotRange::at(1));
    orders.entry = Some("shop.wsgi:application".to_owned());
    orders.args = vec!["-k".to_owned(), "gthread".to_owned()];
    orders.listeners = vec![
        ListenerOrder { fd: 7, address: ListenerAddress::Inet("127.0.0.1".to_owned(), 8000), backlog: 2048 },
        ListenerOrder {
            fd: 8,
            address: ListenerAddress::Unix("/run/ostler/shop.sock".to_owned()),
            backlog: 64,
        },
    ];
    orders.hold = true;
    orders.probe = Some(ProbeOrder {
        path: "/healthz".to_owned(),
        host: Some("shop.example.com".to_owned()),
        scheme: "https".to_owned(),
        timeout_seconds: 10.0,
        asked: true,
        tolerate: ToleranceOrder { errors: false, late: true },
    });
    orders.log_file = Some("/var/log/shop.log".to_owned());
    let expected = serde_json::json!({
        "contract": 1, "mode": "worker", "app": "shop", "worker": 17, "generation": 3,
        "entry": "shop.wsgi:application", "args": ["-k", "gthread"],
        "listeners": [{"fd": 7, "family": "inet", "address": ["127.0.0.1", 8000], "backlog": 2048},
                      {"fd": 8, "family": "unix", "address": "/run/ostler/shop.sock", "backlog": 64}],
        "slot": {"offset": 4096, "size": 4096}, "hold": true,
        "probe": {"path": "/healthz", "host": "shop.example.com", "scheme": "https", "timeout_seconds": 10.0,
                  "asked": true, "tolerate": {"errors": false, "late": true}},
        "log_file": "/var/log/shop.log", "room": 131072});
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&orders.to_json()).unwrap(), expected);
}

#[test]
fn a_proof_is_read_whatever_numbers_it_has() {
    let line = |seconds: &str, status: &str| {
        format!(
            r#"{{"event": "proved", "urls": 41, "probe": {{"path": "/", "status": {status},
                     "seconds": {seconds}, "late": false, "good": true, "message": ""}}}}"#
        )
    };
    let seconds = |text: &str| match Message::parse(line(text, "200").as_bytes()) {
        Ok(Message::Proved(ProvedMessage { urls: Some(41), probe: Some(answer) })) => answer.seconds,
        other => panic!("{other:?}"),
    };
    assert_eq!([seconds("0.5"), seconds("-1"), seconds("1e300")], [0.5, 0.0, 86_400.0]);
    assert!(Message::parse(line("0", "70000").as_bytes()).is_err());
    let none = Message::parse(br#"{"event": "proved", "urls": null, "probe": null}"#).unwrap();
    assert_eq!(none, Message::Proved(ProvedMessage { urls: None, probe: None }));
}

#[test]
fn what_an_app_uses_of_the_database_is_text_or_nothing() {
    let told =
        |text: &str| match Message::parse(format!(r#"{{"event": "tables", "text": {text}}}"#).as_bytes()) {
            Ok(Message::Tables(told)) => told.text,
            other => panic!("{other:?}"),
        };
    assert_eq!(told(r#""eJyr+/==""#).as_deref(), Some("eJyr+/=="));
    assert_eq!(["null", r#""a b""#, r#""\u0000""#, r#""é""#].map(told), [None, None, None, None]);
    assert!(Message::parse(br#"{"event": "tables", "text": 1}"#).is_err());
}

#[test]
fn messages_are_read_as_they_are_sent() {
    assert_eq!(Message::parse(b"{\"event\": \"loaded\"}\n").unwrap(), Message::Loaded);
    assert_eq!(Message::parse(b"{\"event\": \"ready\"}").unwrap(), Message::Ready);
    let failed = br#"{"stage": "import", "message": "no", "traceback": "a\nb", "event": "failed"}"#;
    let expected =
        FailedMessage { stage: FailureStage::Import, message: "no".to_owned(), traceback: "a\nb".to_owned() };
    assert_eq!(Message::parse(failed).unwrap(), Message::Failed(expected));
}

#[test]
fn a_stage_from_the_future_is_still_a_failure() {
    let Message::Failed(failed) =
        Message::parse(br#"{"event":"failed","stage":"warp","message":"x"}"#).unwrap()
    else {
        panic!("not a failure");
    };
    assert_eq!(failed.stage, FailureStage::Unknown);
}

#[test]
fn whatever_a_worker_sends_is_an_error_at_worst() {
    let deep = "[".repeat(60_000);
    let lines: [&[u8]; 7] =
        [b"", b"\n", b"null", b"{\"event\": \"gone\"}", b"\xff\xfe", deep.as_bytes(), b"{\"event\": 1}"];
    for line in lines {
        assert!(matches!(Message::parse(line), Err(MessageError::Malformed(_))), "{line:?}");
    }
    assert!(matches!(Message::parse(&vec![b' '; LINE_LIMIT + 1]), Err(MessageError::TooLong(_))));
}

#[test]
fn a_long_traceback_keeps_its_end() {
    let text = "é".repeat(24_000) + "\\n  line\\nx";
    let line = format!(r#"{{"event":"failed","stage":"boot","message":"m","traceback":"{text}"}}"#);
    let Message::Failed(failed) = Message::parse(line.as_bytes()).unwrap() else { panic!("not a failure") };
    assert!(failed.traceback == "  line\nx");
}

#[test]
fn settings_are_read_as_gunicorn_tells_them() {
    let line = br#"{"gunicorn": "27.0.1", "python": "3.11.2", "class_name": "gthread", "family": "gthread",
        "workers": 3, "workers_set": true, "bind": ["127.0.0.1:9000"], "bind_set": true, "backlog": 99,
        "timeout": 32.0, "graceful_timeout": 30.0, "keepalive": 7.0, "threads": 4, "max_requests": 1000, "max_requests_jitter": 0,
        "umask": 0, "umask_set": false, "uid": 33, "gid": 33, "user_set": false, "chdir": null, "preload_app": true,
        "ignored": ["daemon"], "master_hooks": ["when_ready"], "event": "settings"}"#;
    let Message::Settings(settings) = Message::parse(line).unwrap() else { panic!("no settings") };
    assert_eq!((settings.workers, settings.backlog, settings.keepalive), (3, 99, 7.0));
    assert_eq!(settings.family.as_deref(), Some("gthread"));
    assert_eq!(settings.chdir, None);
}

#[test]
fn hooks_are_named_a_line_each() {
    let worker = Some(HookWorker { id: 17, pid: 4711 });
    let fork = HookOrder { worker, ..HookOrder::new(Hook::PreFork, 4) };
    let told = b"{\"hook\":\"pre_fork\",\"workers\":4,\"worker\":{\"id\":17,\"pid\":4711}}\n";
    assert_eq!(fork.to_line(), told);
    let scaled = HookOrder { from: Some(4), ..HookOrder::new(Hook::NworkersChanged, 6) };
    assert_eq!(scaled.to_line(), b"{\"hook\":\"nworkers_changed\",\"workers\":6,\"from\":4}\n");
    for hook in Hook::ALL {
        assert_eq!(serde_json::to_value(hook).unwrap(), hook.name());
    }
    let orders = Orders::hooks(("shop", 3), None, Vec::new(), Vec::new()).to_json();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&orders).unwrap()["mode"], "hooks");
}

#[test]
fn the_answer_of_a_hook_may_be_what_it_raised() {
    let ran = |error: Option<&str>| {
        Message::Ran(RanMessage { hook: "on_exit".to_owned(), error: error.map(str::to_owned) })
    };
    assert_eq!(Message::parse(br#"{"event": "ran", "hook": "on_exit"}"#).unwrap(), ran(None));
    let raised = br#"{"event": "ran", "hook": "on_exit", "error": "KeyError: 1"}"#;
    assert_eq!(Message::parse(raised).unwrap(), ran(Some("KeyError: 1")));
}
