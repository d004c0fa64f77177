//! `[health]` of the main file, and what an app says of it.

use super::super::assemble::main_file;
use super::*;

fn main(text: &str) -> (HealthConfig, Problems) {
    let (main, problems) = main_file(text, Path::new("/etc/ostler/ostler.toml"), true);
    (main.health, Problems::new(problems))
}

#[track_caller]
fn good(text: &str) -> HealthConfig {
    let (health, problems) = main(text);
    assert!(problems.is_empty(), "{problems}");
    health
}

#[track_caller]
fn bad(text: &str, parts: &[&str]) {
    let (_, problems) = main(text);
    assert_eq!(problems.len(), 1, "{text}: {problems}");
    says(&problems.to_string(), parts);
}

#[test]
fn a_file_without_it_leaves_the_default() {
    assert_eq!(good(""), HealthConfig::default());
    assert_eq!(good("[health]"), HealthConfig::default());
    assert_eq!(good("[health]\nlisten = []").listen, Some(vec![]));
}

#[test]
fn every_key_is_read() {
    let health = good(
        r#"[health]
listen = ["127.0.0.1:9180", "unix:/run/ostler/health.sock"]
agent = "127.0.0.1:9181"
track_file = "/run/ostler/keepalived"
token_file = "/etc/ostler/health.token"
saturation = "fail""#,
    );
    assert_eq!(health.listen.map(|listen| listen.len()), Some(2));
    assert_eq!(health.agent, "127.0.0.1:9181".parse().ok());
    assert_eq!(health.saturation, Saturation::Fail);
    assert!(health.track_file.is_some() && health.token_file.is_some());
}

#[test]
fn bad_values_are_refused_with_the_rule() {
    bad("[health]\nlisten = \"9180\"", &["`listen` is \"9180\"", "127.0.0.1:9180"]);
    bad("[health]\nagent = 5", &["`agent`"]);
    bad("[health]\ntrack_file = \"keepalived\"", &["must be absolute"]);
    bad("[health]\nsaturation = \"503\"", &["must be \"warn\" or \"fail\""]);
    bad("[health]\nport = 5", &["unknown key `port` in [health]"]);
    bad("health = true", &["must be a table"]);
    bad(
        "[health]\nlisten = [\"127.0.0.1:1\", \"0.0.0.0:1\"]",
        &["has 0.0.0.0:1 twice, or overlaps with it", "one listener"],
    );
}

#[test]
fn an_app_says_what_it_means_for_the_machine() {
    assert_eq!((accepted("").optional, accepted("").min_ready), (false, 1));
    let app = accepted("optional = true\nworkers = 4\nmin_ready = 4");
    assert_eq!((app.optional, app.min_ready), (true, 4));
    says(&refused("workers = 4\nmin_ready = 5"), &["`min_ready` is 5", "1 to 4"]);
    says(&refused("min_ready = 0"), &["`min_ready` is 0"]);
    says(&refused("optional = \"yes\""), &["must be true or false, without quotes"]);
}
