//! The restricted key of packaging/examples/ostler-deploy: which images it may name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Said, Site, program};

/// What the key does, with an `ostler` that prints what it is asked for.
fn key(site: &Site, held_to: Option<&str>, words: &str) -> Said {
    let programs = site.path("programs");
    if !programs.exists() {
        fs::create_dir(&programs).expect("the site is ours");
        program::write(&programs.join("ostler"), b"#!/bin/sh\necho \"ostler $*\"\n");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples/ostler-deploy");
    let mut command = Command::new("bash");
    command.arg(script).arg("shop").arg(site.path("srv")).args(held_to);
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display())).env("SSH_ORIGINAL_COMMAND", words);
    Said::of(&mut command)
}

#[test]
fn a_key_may_deploy_images_and_one_that_is_held_to_a_repository_only_those() {
    let site = Site::new();
    let digest = format!("sha256:{}", "a".repeat(64));
    for image in ["r.example.com/shop:43".to_owned(), format!("r.example.com/shop@{digest}")] {
        for held_to in [None, Some("r.example.com/shop")] {
            let said = key(&site, held_to, &format!("deploy-image {image}")).exits(0);
            assert_eq!(said.out, format!("ostler restart shop --image {image}\n"));
        }
    }
    for other in [
        "r.example.com/shop2:43",
        "r.example.com/shop/x:43",
        "evil.example.com/shop:43",
        "r.example.com/other",
    ] {
        let said = key(&site, Some("r.example.com/shop"), &format!("deploy-image {other}")).exits(77);
        assert!(said.out.is_empty(), "{said}");
    }
}

#[test]
fn a_key_passes_nothing_on_that_is_no_name_of_an_image() {
    let site = Site::new();
    for words in [
        "deploy-image",
        "deploy-image a b",
        "deploy-image --accept-breakage",
        "deploy-image r.io/shop;id",
        "deploy-image $(id)",
        "deploy-image ../shop",
        "deploy-image -x",
        "deploy-image r.io/shop:43 --accept-breakage",
        "deploy-image r.io/shop@md5:1",
    ] {
        let said = key(&site, None, words).exits(64);
        assert!(said.out.is_empty(), "{words}: {said}");
    }
    key(&site, None, "anything").exits(64).says(&["deploy-image REF"]);
}
