//! A key that stands in the wrong place is told the right one.

use super::super::assemble::main_file;
use super::*;

const MAIN: &str = "/etc/ostler/ostler.toml";

/// What is printed for this main file: it has exactly one problem.
fn refused_main(text: &str) -> String {
    let (_, problems) = main_file(text, Path::new(MAIN), true);
    assert_eq!(problems.len(), 1, "{text}:\n{problems:?}");
    Problems::new(problems).to_string()
}

#[test]
fn a_section_of_the_machine_in_an_apps_file_is_sent_to_the_main_file() {
    same(
        &refused("[health]\nlisten = 5"),
        r"
error: [health] belongs in /etc/ostler/ostler.toml, not in an app's file
 --> /etc/ostler/apps.d/shop.toml:7:2
  |
7 | [health]
  |  ^^^^^^ it is about the whole machine
  = help: move it there; the page by which a worker of one app proves itself is `path` of [probe]

1 problem in 1 file
",
    );
    says(&refused("health = {}"), &["[health] belongs in /etc/ostler/ostler.toml"]);
    says(
        &refused("edge = { preset = \"alb\" }"),
        &["[edge] belongs in /etc/ostler/ostler.toml, not in an app's file"],
    );
    says(&refused("[limits.edge]\ndelay = 5"), &["[edge] belongs in /etc/ostler/ostler.toml"]);
    says(&refused("delay = \"8s\""), &["`delay` belongs in /etc/ostler/ostler.toml, under [edge]"]);
    says(&refused("[probe]\npath = \"/\"\ntrack_file = \"/x\""), &["`track_file` belongs in", "[health]"]);
    let inside = format!("[apps.shop]{ENOUGH}[apps.shop.health]\nlisten = 5");
    says(&refused_main(&inside), &["[health] belongs at the top of this file, not under [apps.NAME]"]);
}

#[test]
fn the_main_file_is_named_as_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("other.toml");
    std::fs::create_dir(folder.path().join("apps.d")).unwrap();
    std::fs::write(&main, "").unwrap();
    std::fs::write(folder.path().join("apps.d/shop.toml"), format!("{ENOUGH}[edge]\n")).unwrap();
    let printed = load(&main, true).unwrap_err().to_string();
    says(&printed, &[&format!("[edge] belongs in {}, not in an app's file", main.display())]);
}

#[test]
fn what_is_about_an_app_is_sent_from_the_main_file_to_the_app() {
    same(
        &refused_main("workers = 4\n"),
        r"
error: `workers` belongs to an app, not to the main file
 --> /etc/ostler/ostler.toml:1:1
  |
1 | workers = 4
  | ^^^^^^^
  = help: move it into /etc/ostler/apps.d/NAME.toml, or below [apps.NAME] in this file

1 problem in 1 file
",
    );
    says(
        &refused_main("[limits]\nmax_rss = \"1GiB\"\n"),
        &[
            "[limits] belongs to an app, not to the main file",
            "move it into /etc/ostler/apps.d/NAME.toml, or write [apps.NAME.limits] in this file",
        ],
    );
    says(
        &refused_main("max_rss = \"1GiB\"\n"),
        &["`max_rss` belongs to an app, under [limits]", "[apps.NAME.limits]"],
    );
    says(&refused_main("[edge]\nworkers = 4\n"), &["`workers` belongs to an app, not to the main file"]);
    says(&refused_main("[edge]\nlisten = 4\n"), &["`listen` belongs under [health], not under [edge]"]);
    says(&refused_main("delay = 4\n"), &["`delay` belongs under [edge], not above the first [section]"]);
    let whole = format!("[shop]{ENOUGH}");
    says(&refused_main(&whole), &["unknown key `shop`", "an app's table is [apps.shop]"]);
}

#[test]
fn a_key_of_another_section_is_sent_there() {
    same(
        &refused("[rollout]\nmax_rss = \"1GiB\""),
        r#"
error: `max_rss` belongs under [limits], not under [rollout]
 --> /etc/ostler/apps.d/shop.toml:8:1
  |
8 | max_rss = "1GiB"
  | ^^^^^^^
  = help: move it there

1 problem in 1 file
"#,
    );
    says(
        &refused("boot_timeout = 30"),
        &["`boot_timeout` belongs under [rollout], not above the first [section]"],
    );
    says(&refused("timeout = 30"), &["`timeout` belongs under [limits], [probe] or [migrate]"]);
    says(
        &refused("[limits]\nworkers = 3"),
        &[
            "`workers` belongs above the first [section], not under [limits]",
            "what follows a [section] belongs to it, until the next one",
        ],
    );
    says(
        &refused("[limits.migrate]\nenabled = false"),
        &["[migrate] belongs to the app itself, not to [limits]", "write [migrate] on a line of its own"],
    );
    says(&refused("[migrate.override.\"shop.0007_price\"]\ntries = 5"), &["`tries` belongs under [migrate]"]);
    says(&refused("[limits]\nMax-RSS-Jitter = 5"), &["unknown key", "the keys here are"]);
    says(&refused("Max-Surge = 5"), &["`max_surge` belongs under [rollout]"]);
    says(
        &refused("min = 2"),
        &["`min` belongs to the range of `workers`", "workers = { min = 2, max = 16 }"],
    );
}

#[test]
fn a_slip_in_a_key_of_another_section_is_seen_as_one() {
    says(
        &refused("boot_timout = 30"),
        &["unknown key `boot_timout`", "did you mean `boot_timeout`? It belongs under [rollout]"],
    );
    // The section's own keys are nearer.
    says(&refused("[limits]\nmax_rs = 30"), &["did you mean `max_rss`?"]);
    says(&refused_main("[heatlh]\n"), &["did you mean `health`?"]);
    says(
        &refused("[heatlh]\n"),
        &["unknown key `heatlh`", "did you mean [health]? It belongs in /etc/ostler/ostler.toml"],
    );
}

#[test]
fn keys_under_a_second_name_of_the_app_stand_at_the_top() {
    says(&refused("[apps.shop]\nworkers = 4"), &["unknown key `apps`", "without [apps.NAME]"]);
    let inside = format!("[shop]{ENOUGH}");
    let printed = parse(&inside).unwrap_err().to_string();
    says(
        &printed,
        &[
            "unknown key `shop`",
            "in apps.d/NAME.toml the keys stand at the top, without [shop]",
            "1 problem in 1 file",
        ],
    );
}
