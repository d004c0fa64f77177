//! Where an app prints.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::plan::Blueprint;

/// Where what an app's processes print goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// To the journal, under the app's name.
    Journal,
    /// To this file: `log_file`.
    File(PathBuf),
    /// To ostlerd's standard error.
    Stderr,
}

impl Output {
    /// That of an app's processes; `journal` says whether those without a file of their own print there.
    pub(super) fn of(blueprint: &Blueprint, journal: bool) -> Output {
        match &blueprint.log_file {
            Some(file) => Output::File(file.clone()),
            None if journal => Output::Journal,
            None => Output::Stderr,
        }
    }
}
