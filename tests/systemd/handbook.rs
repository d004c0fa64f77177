//! The pages of the handbook as people read them: in the packages, offline, on a small terminal.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::documents;
use crate::harness::Said;
use crate::package::{Kind, OLD, Packages};
use crate::pages;

/// `ostler-edge.7` and the like, as they lie in the folder of the sources.
fn names() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(documents::PAGES);
    let files = fs::read_dir(folder).expect("the pages are there").map(|file| file.expect("it can be read"));
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    names.map(|name| name.strip_suffix(".md").expect("a page is Markdown").to_owned()).collect()
}

#[test]
fn the_readme_is_short_and_names_every_page() {
    let readme = documents::readme();
    assert!(readme.text.lines().count() <= 250, "README has {} lines", readme.text.lines().count());
    let named: BTreeSet<String> = documents::all()[1..]
        .iter()
        .map(|page| page.path.file_stem().expect("it has a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(named, names());
}

#[test]
fn every_page_is_in_both_packages() {
    let packages = Packages::new();
    for kind in [Kind::Deb, Kind::Rpm] {
        let staged = packages.stage(kind, OLD);
        for name in names() {
            let (_, section) = name.rsplit_once('.').expect("a page has a section");
            let file = staged.join(format!("usr/share/man/man{section}/{name}.gz"));
            assert!(file.exists(), "{kind:?} lacks {}", file.display());
        }
    }
}

#[test]
fn every_page_can_be_read_on_a_terminal_of_80_columns() {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    pages::write(folder.path()).expect("the folder is ours");
    let handbook = names();
    for file in fs::read_dir(folder.path().join("man")).expect("it is made") {
        let file = file.expect("it can be read").path();
        let name = file.file_name().expect("it has a name").to_string_lossy().into_owned();
        let mut man = Command::new("man");
        man.args(["--warnings", "-l"]).arg(&file).envs([("MANWIDTH", "80"), ("LC_ALL", "C.UTF-8")]);
        let shown = Said::of(&mut man).exits(0);
        assert_eq!(shown.err, "", "{name}");
        let lint = Said::of(Command::new("mandoc").args(["-T", "lint", "-W", "style"]).arg(&file));
        assert_eq!(lint.out, "", "{name}");
        if handbook.contains(&name) {
            let source = documents::page(&name).text;
            let wide = shown.out.lines().filter(|line| line.chars().count() > 80);
            // What has to stay in one line may be longer.
            let wide: Vec<&str> =
                wide.filter(|line| !source.lines().any(|it| it == line.trim_start())).collect();
            assert!(wide.is_empty(), "{name}: {wide:#?}");
            assert!(!shown.out.contains("<!--") && !shown.out.contains("```"), "{name}: {}", shown.out);
        }
    }
}
