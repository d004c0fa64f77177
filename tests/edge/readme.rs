//! README shows what the tests ran.

use std::fs;
use std::path::Path;

use crate::pair::example;

/// Every example, README's snippets of which are parts.
const EXAMPLES: &[&str] = &[
    "ostler.toml",
    "nginx.conf",
    "haproxy.cfg",
    "haproxy-agent.cfg",
    "traefik.yml",
    "Caddyfile",
    "keepalived-track-file.conf",
];

#[test]
fn each_snippet_about_an_edge_is_a_part_of_an_example_that_the_tests_run() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(path).expect("README is there");
    let section = readme.split("\n## ").find(|section| section.starts_with("Behind nginx"));
    let blocks: Vec<&str> =
        section.expect("README has the section").split("```").skip(1).step_by(2).collect();
    let examples: Vec<String> = EXAMPLES.iter().map(|name| example(name)).collect();
    assert!(blocks.len() >= EXAMPLES.len(), "README shows every example");
    for block in blocks {
        let snippet = block.split_once('\n').map(|(_, lines)| lines).unwrap_or_default();
        assert!(examples.iter().any(|text| text.contains(snippet)), "in no example:\n{snippet}");
    }
}
