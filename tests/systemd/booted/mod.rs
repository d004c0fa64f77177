//! What holds on a booted machine.

mod chaos;
mod databases;
mod endurance;
mod found;
mod guide;
mod images;
mod limits;
mod logs;
mod machines;
mod packages;
mod ports;
mod rpm;
mod scopes;
mod settings;
mod shown_logs;
mod sockets;
mod stops;
mod strangers;
mod survival;
mod told;
mod twelve;
mod unit;
mod zygotes;
