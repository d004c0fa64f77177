//! Options that one program alone has.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

/// All of them.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Special {
    #[command(flatten)]
    pub(super) traefik: Traefik,
    #[command(flatten)]
    pub(super) keepalived: Keepalived,
}

/// Traefik's.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Traefik {
    /// traefik: print its own file, with entry points and the issuer of certificates, instead of that of the file provider
    #[arg(long)]
    pub(super) main: bool,
    /// traefik: where its files are; those of the file provider in `dynamic` below it
    #[arg(long, value_name = "DIR", default_value = "/etc/traefik")]
    pub(super) folder: PathBuf,
}

/// keepalived's.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Keepalived {
    /// keepalived: the address that moves
    #[arg(long = "vip", value_name = "ADDRESS/BITS", value_parser = vip)]
    pub(super) vips: Vec<Vip>,
    /// keepalived: the interface that has it
    #[arg(long, value_name = "NAME", default_value = "eth0", value_parser = interface)]
    pub(super) interface: String,
    /// keepalived: this server's rank, the highest that is ready has the address
    #[arg(long, value_name = "1-254", default_value = "100", value_parser = clap::value_parser!(u8).range(1..=254))]
    pub(super) priority: u8,
    /// keepalived: the number of this group of servers in their network
    #[arg(long, value_name = "1-255", default_value = "51", value_parser = clap::value_parser!(u8).range(1..))]
    pub(super) router_id: u8,
}

/// An address with the size of its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vip {
    /// The address.
    pub(super) ip: IpAddr,
    /// How many bits are the network's.
    pub(super) bits: u8,
}

/// `10.0.0.10/24`.
pub(super) fn vip(text: &str) -> Result<Vip, String> {
    let rule = || "write an address and the bits of its network, for example 10.0.0.10/24".to_owned();
    let (ip, bits) = text.split_once('/').ok_or_else(rule)?;
    let (ip, bits): (IpAddr, u8) = (ip.parse().map_err(|_| rule())?, bits.parse().map_err(|_| rule())?);
    let most = if ip.is_ipv4() { 32 } else { 128 };
    if (1..=most).contains(&bits) { Ok(Vip { ip, bits }) } else { Err(rule()) }
}

/// `eth0`.
pub(super) fn interface(text: &str) -> Result<String, String> {
    let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b));
    match clean && (1..16).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err("write the name of an interface, for example eth0: see `ip link`".to_owned()),
    }
}
