//! What releases take on disk: what they share is there once.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Instant;

use crate::harness::Said;
use crate::image::{app_folder, built};
use crate::shop::{Shop, only_root};

/// In mebibytes: what stays from release to release, and what changes. `OSTLER_IMAGE=95` measures a larger one.
fn same() -> usize {
    std::env::var("OSTLER_IMAGE").ok().and_then(|it| it.parse().ok()).unwrap_or(12)
}

fn on_disk(shop: &Shop) -> u64 {
    let said = Said::of(Command::new("du").args(["-s", "--block-size=1K"]).arg(shop.releases())).exits(0);
    said.out.split_whitespace().next().and_then(|it| it.parse().ok()).expect("du prints a number")
}

#[test]
fn five_releases_take_the_disk_of_one_and_of_what_changes() {
    if !only_root("the disk of five releases") {
        return;
    }
    let shop = Shop::new();
    let app = app_folder(&shop.site);
    for number in 0..same() {
        let noise: Vec<u8> = (0..1 << 20).map(|_| fastrand::u8(..)).collect();
        fs::write(app.join(format!("usr/local/lib/part{number}")), noise).unwrap();
    }
    let mut used = Vec::new();
    let mut releases = Vec::new();
    for number in 1..=5 {
        let change = shop.site.path(&format!("change{number}"));
        fs::create_dir_all(change.join("app")).unwrap();
        let noise: Vec<u8> = (0..1 << 20).map(|_| fastrand::u8(..)).collect();
        fs::write(change.join("app/code"), noise).unwrap();
        let layout = built(&shop.site, &format!("r{number}"), &[app.clone(), change]);
        shop.registry.push(&layout, &format!("shop:{number}"));
        let begun = Instant::now();
        let said = shop.pull(&format!("shop:{number}")).exits(0);
        eprintln!("release {number}: {:.2} s\n{}", begun.elapsed().as_secs_f64(), said.out);
        if number > 1 {
            said.clone().says(&["(2 layers, 1 of them here already)", "shares"]);
        }
        releases.push(said.out.lines().last().unwrap().to_owned());
        used.push(on_disk(&shop));
        eprintln!("on disk: {} KiB", used[used.len() - 1]);
    }
    let inode = |release: &str, file: &str| fs::metadata(format!("{release}/rootfs/{file}")).unwrap().ino();
    let (part, code) = ("usr/local/lib/part0", "app/code");
    assert_eq!(inode(&releases[0], part), inode(&releases[4], part));
    assert_ne!(inode(&releases[0], code), inode(&releases[4], code));
    // One MiB unpacked and one compressed for each, and the folders.
    assert!(used[4] - used[0] < 4 * 3 * 1024, "{used:?}");
}
