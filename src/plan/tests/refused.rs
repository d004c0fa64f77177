use super::*;
use crate::config::Origin;

#[test]
fn versions_out_of_the_supported_ones_are_refused_with_the_list() {
    for version in ["19.9.0", "20.0.4", "28.0.0", "100", "", "latest", "\u{1b}[31m"] {
        let settings = Settings { gunicorn: version.to_owned(), ..defaults() };
        let reason = reason(&listening(""), &facts(settings));
        says(&reason, &["shop: gunicorn ", " is not supported", "gunicorn 20.1 to 27", "pip install"]);
        assert!(!reason.contains('\u{1b}'));
    }
    for version in ["20.1.0", "20.1", "21.2.0", "23.0.0", "27.0.1", "27.9.dev0", "24"] {
        let settings = Settings { gunicorn: version.to_owned(), ..defaults() };
        planned(&listening(""), &facts(settings));
    }
    for version in ["2.7.18", "3.7.17", ""] {
        let settings = Settings { python: version.to_owned(), ..defaults() };
        says(&reason(&listening(""), &facts(settings)), &["Python ", "is not supported", "3.8 and later"]);
    }
}

#[test]
fn an_unknown_worker_class_is_refused_by_its_name() {
    for family in [None, Some("eventlet".to_owned())] {
        let settings = Settings { class_name: "eventlet".to_owned(), family, ..defaults() };
        let expected = [
            "shop: the worker class \"eventlet\" is not supported; supported are",
            "uvicorn_worker.UvicornWorker",
            "args = [\"-k\"",
        ];
        says(&reason(&listening(""), &facts(settings)), &expected);
    }
}

#[test]
fn a_young_asgi_worker_is_warned_of() {
    let settings = Settings { family: Some("asgi".to_owned()), gunicorn: "25.1.0".to_owned(), ..defaults() };
    let (_, notes) = planned(&listening(""), &facts(settings));
    says(&notes[0], &["gunicorn 25.1.0's own asgi workers", "install gunicorn 27"]);
}

#[test]
fn an_app_that_listens_nowhere_is_refused() {
    assert_eq!(
        reason(&app(""), &facts(defaults())),
        "shop: listen is not set, and gunicorn's configuration has no bind; \
         add for example listen = \"127.0.0.1:8000\" to /etc/ostler/apps.d/shop.toml"
    );
    let nothing = Settings { bind: Vec::new(), bind_set: true, ..defaults() };
    says(&reason(&app(""), &facts(nothing)), &["listen is not set"]);
}

#[test]
fn a_bind_that_cannot_be_held_is_refused_with_its_words() {
    let bound = |bind: &[&str]| {
        let bind = bind.iter().map(|bind| (*bind).to_owned()).collect();
        reason(&app(""), &facts(Settings { bind, bind_set: true, ..defaults() }))
    };
    says(&bound(&["fd://3"]), &["gunicorn's bind is \"fd://3\"", "systemd:NAME", "or set `listen` in"]);
    says(&bound(&["unix:shop.sock"]), &["must be absolute"]);
    says(&bound(&["/run/x.sock"]), &["did you mean unix:/run/x.sock?"]);
    says(&bound(&["shop.example.com:80"]), &["names are not looked up"]);
    says(&bound(&["127.0.0.1:0"]), &["port 0 is another port"]);
    says(&bound(&["127.0.0.1:99999"]), &["a port is a number from 1 to 65535"]);
    says(&bound(&["127.0.0.1:8080", "0.0.0.0:8080"]), &["has both 127.0.0.1:8080 and 0.0.0.0:8080"]);
    says(&bound(&["x"; 65]), &["has 65 addresses; 64 is the most"]);
    says(&bound(&[&"x\n".repeat(9000)]), &["gunicorn's bind is \"x"]);
}

#[test]
fn what_the_app_s_code_binds_is_what_its_user_may_bind() {
    let bound = |more: &str, bind: &str| {
        let settings = Settings { bind: vec![bind.to_owned()], bind_set: true, ..defaults() };
        prepare(&app(more), &facts(settings)).0.map(|plan| plan.blueprint.listen[0].clone())
    };
    let refused = |more: &str, bind: &str| bound(more, bind).unwrap_err().reason;
    let expected = [
        "shop: gunicorn's bind is 0.0.0.0:99: shop cannot bind ports below 1024",
        "write listen = \"0.0.0.0:99\" in /etc/ostler/apps.d/shop.toml",
    ];
    says(&refused("", ":99"), &expected);
    says(
        &refused("", "systemd:blog"),
        &["gunicorn's bind is systemd:blog", "write listen = \"systemd:blog\""],
    );
    // Another address of the file's does not speak for this one.
    says(&refused("env = { GUNICORN_CMD_ARGS = \"-b 127.0.0.1:99\" }", ":99"), &expected);
    assert!(matches!(bound("", ":8000").unwrap().origin, Origin::Code));
    assert!(matches!(bound("", "unix:/run/ostler/x").unwrap().origin, Origin::Code));

    // What the file itself says is root's word.
    let in_file = [
        "env = { GUNICORN_CMD_ARGS = \"-b :99\" }",
        "env = { GUNICORN_CMD_ARGS = \"--bind=0.0.0.0:99\" }",
        "env = { GUNICORN_CMD_ARGS = \"-b:99\" }",
        "env = { GUNICORN_CMD_ARGS = \"-b 127.0.0.1:8000,:99\" }",
        "env = { GUNICORN_CMD_ARGS = \"--threads 2 --bind '0.0.0.0:99'\" }",
        "env = { PORT = \"99\" }",
    ];
    for more in in_file {
        assert!(matches!(bound(more, "0.0.0.0:99").unwrap().origin, Origin::File), "{more}");
    }
    // A user who may bind it may have his code say so.
    let settings = Settings { bind: vec![":99".to_owned()], bind_set: true, ..defaults() };
    for account in [None, Some(account("root", 0))] {
        planned(&app(""), &Facts { account, ..facts(settings.clone()) });
    }
    planned(&app(""), &Facts { unprivileged_port: 99, ..facts(settings) });
}
