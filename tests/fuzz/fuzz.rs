//! One law under libFuzzer: `OSTLER_FUZZ` names it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static LAW: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("OSTLER_FUZZ").unwrap_or_default();
    let laws = ostler::fuzzing::laws();
    match laws.iter().find(|(name, _)| *name == wanted) {
        Some((_, law)) => *law,
        None => {
            let names: Vec<&str> = laws.iter().map(|(name, _)| *name).collect();
            eprintln!("OSTLER_FUZZ={wanted} names no law: {}", names.join(" "));
            std::process::exit(64);
        }
    }
});

fuzz_target!(|bytes: &[u8]| LAW(bytes));
