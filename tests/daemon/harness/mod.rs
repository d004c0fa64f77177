//! What the daemon's tests stand on: a site (a folder with configuration and apps), the real `ostlerd`
//! on it, the real `ostler` beside it, and a clean-up that fails the test where something is left.

mod app;
#[allow(dead_code, reason = "for the tests of images")]
pub mod bundle;
mod master;
mod ostlerd;
mod proc;
pub mod program;
mod python;
mod releases;
mod site;
mod wait;

pub use app::{AppFile, Gunicorn, free_address};
#[allow(unused_imports, reason = "for the tests of the edges")]
pub use app::{newest_is_too_new, venvs};
pub use master::Master;
pub use ostlerd::{Ostlerd, Said, ready};
pub use proc::{Proc, is_root, kill};
pub use python::{ASGI, CLASSES, DJANGO, WSGI};
#[allow(unused_imports, reason = "for the tests of releases")]
pub use releases::Releases;
pub use site::Site;
#[allow(unused_imports, reason = "for the tests of the import")]
pub use site::{readable, usual_user};
pub use wait::{eventually, until};
