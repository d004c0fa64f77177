//! What ostlerd decides: text to types, types to plans, facts to actions.
//!
//! Read the modules in the order in which `ostler`'s own page names them.

pub mod config;
pub mod plan;
pub mod supervise;
pub mod worker;
