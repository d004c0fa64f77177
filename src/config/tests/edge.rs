use std::time::Duration;

use super::*;
use crate::config::assemble::main_file;

const MAIN: &str = "/etc/ostler/ostler.toml";

fn read(text: &str) -> (Edge, String) {
    let (main, problems) = main_file(text, Path::new(MAIN), true);
    (main.edge, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn without_the_section_nothing_is_known_of_the_edge() {
    assert_eq!(read(""), (Edge { preset: Preset::None, delay: None }, String::new()));
}

#[test]
fn every_preset_is_known_by_its_name() {
    for preset in Preset::ALL {
        let (edge, problems) = read(&format!("[edge]\npreset = \"{}\"\n", preset.name()));
        assert_eq!((edge.preset, problems.as_str()), (preset, ""));
    }
}

#[test]
fn a_delay_may_be_zero_and_stands_beside_the_preset() {
    let seconds = Duration::from_secs;
    for (text, delay) in [("\"1m30s\"", seconds(90)), ("8", seconds(8)), ("0", seconds(0))] {
        let (edge, problems) = read(&format!("edge = {{ preset = \"haproxy\", delay = {text} }}\n"));
        assert_eq!((edge.delay, problems.as_str()), (Some(delay), ""), "{text}");
    }
}

#[test]
fn what_is_no_edge_is_refused_with_what_would_be_one() {
    for (text, parts) in [
        (
            "preset = \"traefic\"",
            &["is \"traefic\"", "must be one of none, alb", "did you mean \"traefik\"?"][..],
        ),
        ("preset = \"HAProxy_Agent\"", &["did you mean \"haproxy-agent\"?"]),
        ("preset = \"envoy\"", &["is \"envoy\"", "say its `delay`"]),
        ("preset = 1", &["is an integer", "preset = \"alb\""]),
        ("delay = \"2h\"", &["is \"2h\"", "from 0ms to 1h"]),
        ("delay = \"soon\"", &["is \"soon\"", "must be a duration"]),
        ("preset_ = \"alb\"", &["unknown key `preset_` in [edge]", "did you mean `preset`?"]),
    ] {
        let (_, problems) = read(&format!("[edge]\n{text}\n"));
        says(&problems, parts);
    }
    says(&read("edge = \"alb\"").1, &["`edge` is a string", "must be a table"]);
}
