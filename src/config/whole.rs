//! The whole configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::app::AppConfig;
use super::edge::Edge;
use super::health::HealthConfig;
use super::types::AppName;

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The main file.
    pub file: PathBuf,
    /// Every app, from the main file and from `apps.d`.
    pub apps: BTreeMap<AppName, AppConfig>,
    /// `[edge]`.
    pub edge: Edge,
    /// `[health]` of the main file.
    pub health: HealthConfig,
}

impl Config {
    /// `apps.d` beside the main file.
    pub fn apps_dir(file: &Path) -> PathBuf {
        file.parent().unwrap_or(Path::new("/")).join("apps.d")
    }
}
