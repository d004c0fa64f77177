//! What an image says of itself, as the tools print it.

use super::{Overrides, Place, has, keys, text};

fn said() -> Overrides {
    let image = Some("registry.example.com/shop:43".to_owned());
    Overrides { user: Some("shop".to_owned()), image, ..Overrides::default() }
}

/// As `skopeo inspect --config` prints it.
const CONFIG: &str = r#"{
  "created": "2024-05-01T10:00:00Z", "architecture": "amd64", "os": "linux",
  "config": {
    "User": "1000:1000",
    "ExposedPorts": {"8000/tcp": {}, "9000/udp": {}},
    "Env": ["PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin", "SECRET=hunter2", "DJANGO_SETTINGS_MODULE=shop.settings"],
    "Entrypoint": ["/entrypoint.sh"],
    "Cmd": ["gunicorn", "shop.wsgi:application", "--workers=4"],
    "Volumes": {"/data": {}},
    "WorkingDir": "/app",
    "Healthcheck": {"Test": ["CMD", "wget", "-q", "http://127.0.0.1:8000/up/"]}
  },
  "rootfs": {"type": "layers", "diff_ids": []},
  "history": [{"created_by": "CMD [\"gunicorn\"]"}]
}"#;

/// As umoci leaves it.
const BUNDLE: &str = r#"{"ociVersion": "1.0.2", "process": {
  "terminal": true, "user": {"uid": 1000, "gid": 1000},
  "args": ["/entrypoint.sh", "gunicorn", "shop.wsgi:application", "--workers=4"],
  "env": ["PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin", "TERM=xterm"], "cwd": "/app"},
  "root": {"path": "rootfs"}, "mounts": []}"#;

#[test]
fn what_an_image_says_of_itself_becomes_the_apps_file() {
    let text = text(Place::default().import("/tmp/config.json", CONFIG, &said()));
    assert_eq!(
        keys(&text),
        [
            "directory = \"/srv/shop/current\"",
            "image = \"registry.example.com/shop:43\"",
            "app = \"shop.wsgi:application\"",
            "listen = \"127.0.0.1:8000\"",
            "user = \"shop\"",
            "workers = 4",
            "[volumes]",
            "\"/data\" = \"/srv/shop/data\"",
            "[probe]",
            "path = \"/up/\"",
        ]
    );
    has(
        &text,
        &["# - /entrypoint.sh:", "# - USER 1000:1000:", "# - ENV DJANGO_SETTINGS_MODULE, PATH, SECRET:"],
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_bundles_file_and_what_docker_inspect_prints_are_read_too() {
    let bundle = text(Place::default().import("standard input", BUNDLE, &said()));
    has(&bundle, &["app = \"shop.wsgi:application\"", "workers = 4", "# - USER 1000:"]);
    let inspected =
        format!("[{}]", CONFIG.replace("\"config\"", "\"RepoTags\": [\"ghcr.io/me/shop:7\"], \"Config\""));
    let unnamed = Overrides { image: None, ..said() };
    has(&text(Place::default().import("x.json", &inspected, &unnamed)), &["image = \"ghcr.io/me/shop:7\""]);
}

#[test]
fn what_describes_no_image_is_named() {
    let error = |text: &str| {
        Place::default().import("/tmp/config.json", text, &said()).map(|it| it.text).unwrap_err().to_string()
    };
    has(&error(""), &["line 1", "damaged JSON", "skopeo inspect --config docker://REF"]);
    has(&error("{\n\"config\": {\n"), &["config.json, line 3", "damaged JSON"]);
    has(&error("{}"), &["describes no image"]);
    has(&error("[]"), &["describes no image"]);
    has(&error("{\"config\": {}}"), &["no ENTRYPOINT and no CMD"]);
    has(&error("{\"config\": {\"Cmd\": [\"python3\"]}}"), &["does not start gunicorn", "python3"]);
    has(&error(&"[".repeat(100_000)), &["damaged JSON"]);
    let odd =
        "{\"config\": {\"Cmd\": 7, \"Env\": {\"A\": 1}, \"Volumes\": [], \"Healthcheck\": {\"Test\": {}}}}";
    has(&error(odd), &["no ENTRYPOINT and no CMD"]);
}
