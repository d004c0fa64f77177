//! Images: from a registry into a release folder, by the command alone and with the rights of the app's user.
//!
//! Read in this order: `pull` is the way from top to bottom; `place` knows where an app's releases are, `person` becomes its
//! user; `resolve` turns a reference into one digest for this machine, by what `manifest` reads; `fetch` and
//! `unpack` run skopeo and umoci, each as `program` runs a child, while `room` watches the disk; `rootfs`, `mounts` and
//! `python` look at what came out, `share` links what an earlier release has already; `staging` puts it into place whole, or
//! takes it away; `layout` and `prune` say what stays; `record` is what a release says of itself.

mod arguments;
mod fetch;
mod layout;
mod list;
mod lock;
mod manifest;
mod mounts;
mod person;
mod place;
mod program;
mod prune;
mod pull;
mod python;
mod record;
mod remove;
mod resolve;
mod room;
mod rootfs;
mod share;
mod staging;
mod steps;
mod unpack;
mod walk;
mod words;

pub(super) use arguments::{Images, ImagesVerb};
pub(super) use list::{Listed, list, table};
pub(super) use person::become_user;
pub(super) use place::Place;
pub(super) use prune::{InUse, prune};
pub(super) use pull::pull;
pub(super) use steps::{Step, Steps};
