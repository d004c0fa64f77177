//! The real `ostlerd` with real gunicorn of several versions, under a load that names every outcome.
//!
//! One binary, so that it links once. `harness` and `load` are what the tests stand on; every other module
//! is a part of what ostler promises. The environments come from `bash tests/venvs.sh`.

#![allow(unreachable_pub, reason = "a test binary has nobody to reach it")]

mod die;
mod harness;
mod load;

mod adoption;
mod app_errors;
mod background;
mod bad_releases;
mod check;
mod client;
mod clock;
mod cloud;
mod conf;
mod conf_abuse;
mod config_errors;
mod control_errors;
mod deaths;
mod deploy;
mod drain;
mod failing;
mod flood;
mod health;
mod health_abuse;
mod held;
mod hooks;
mod image;
mod images;
mod import;
mod liars;
mod listening;
mod litter;
mod logs;
mod metrics;
mod migrations;
mod no_apps;
mod orphans;
mod owners;
mod page;
mod paths;
mod preload;
mod preload_abuse;
mod preload_figures;
mod recycling;
mod refusing;
mod release_link;
mod releases;
mod reload;
mod rollouts;
mod saturation;
mod scaling;
mod settings;
mod signals;
mod stops;
mod supervision;
mod switch;
mod top;
mod traced;
mod truth;
mod verbs;
mod want;
mod warm;
mod workers;
