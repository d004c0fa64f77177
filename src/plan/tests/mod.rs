//! What is decided from good facts, and from bad ones.

mod diff;
mod edge;
mod effects;
mod environment;
mod migration;
mod numbers;
mod refused;
mod served;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::AppConfig;
use crate::worker::{DjangoFound, Settings};

use super::sample::{account, app, defaults, facts, listening, planned};
use super::*;

/// The reason of a refusal, which is one line.
#[track_caller]
fn reason(app: &AppConfig, facts: &Facts) -> String {
    let reason = prepare(app, facts).0.expect_err("accepted").reason;
    assert!(!reason.contains('\n'), "{reason}");
    reason
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing from: {text}");
    }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
