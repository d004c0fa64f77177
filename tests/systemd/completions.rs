//! The completions, in a real shell.

use std::process::Command;

use crate::harness::Said;
use crate::pages;

/// What bash offers for the last word of a line.
#[track_caller]
fn offered(line: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    pages::write(folder.path()).expect("the folder is ours");
    // The command itself answers only what completions ask it.
    let script = r#"
        ostler() { [[ $1 == __apps ]] && printf 'blog\nshop\n'; }
        source "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _ostler_or_app ostler "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let file = folder.path().join("completions/ostler.bash");
    let said = Said::of(Command::new("bash").args(["-c", script, "bash"]).arg(file).args(line.split(' ')));
    said.exits(0).out.lines().filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_the_names_of_apps_where_a_verb_takes_one() {
    for (line, names) in [
        ("ostler restart ", &["blog", "shop"] as &[&str]),
        ("ostler restart s", &["shop"]),
        ("ostler --socket /run/x.sock stop b", &["blog"]),
        ("ostler edge nginx ", &["blog", "shop"]),
        ("ostler logs -f -n 20 ", &["blog", "shop"]),
        ("ostler images ", &["pull", "prune", "blog", "shop"]),
        ("ostler images pull s", &["shop"]),
        ("ostler images prune --config /x ", &["blog", "shop"]),
    ] {
        assert_eq!(offered(line), names, "{line}");
    }
    assert!(offered("ostler rest").contains(&"restart".to_owned()));
    for line in [
        "ostler restart --release ",
        "ostler images pull shop ",
        "ostler logs --since ",
        "ostler undrain ",
        "ostler restart --",
    ] {
        assert!(!offered(line).contains(&"shop".to_owned()), "{line}");
    }
}

#[test]
fn a_synopsis_names_what_its_options_take() {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    pages::write(folder.path()).expect("the folder is ours");
    let page = std::fs::read_to_string(folder.path().join("man/ostler-restart.1")).expect("it is written");
    assert!(page.contains("[\\fB\\-\\-release\\fR \\fIDIR\\fR]"), "{page}");
}
