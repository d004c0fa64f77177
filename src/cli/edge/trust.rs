//! Whether the workers believe what the edge says of a client: gunicorn's `forwarded_allow_ips`.
//!
//! Of 20.1 to 27 alike: what comes over a Unix socket is believed by every class but uvicorn's, which sees no address there
//! and believes nobody but where the list is `*`. tornado's never looks. 20.1 and 23 know single addresses, 127.0.0.1
//! unless told otherwise; 23 has ::1 in its list as well,
//! and from 24.1 on networks are known.

use std::net::IpAddr;

use super::servers::{At, Server};
use super::wanted::Wanted;
use crate::config::shortened;
use crate::plan::{Believes, ServedApp};

/// What to know, and what does not fit.
pub(super) fn of(app: &ServedApp, wanted: &Wanted, servers: &[Server]) -> (String, Option<String>) {
    let name = &app.name;
    let believes = app.class.map(|class| class.traits().believes);
    if let (Some(class), Some(Believes::Nobody)) = (app.class, believes) {
        let note = format!("Workers of class {class} do not look at X-Forwarded-Proto: the app has to.");
        return (note, None);
    }
    let own = servers.first().map(|server| &server.at);
    let others = if wanted.peers.is_empty() {
        String::new()
    } else {
        " On the other servers the list has to name the address that this edge comes from: \"--forwarded-allow-ips\", \
         \"ADDRESS\" in args of the app, or FORWARDED_ALLOW_IPS in its env."
            .to_owned()
    };
    let (note, needed) = match own {
        Some(At::Unix(_)) if believes == Some(Believes::Uvicorn) => {
            let note = "uvicorn sees no address over a Unix socket, so it believes these headers only where \
                        forwarded_allow_ips is \"*\": safe as long as only the edge may open the socket (socket_mode).";
            (note.to_owned(), "*".to_owned())
        }
        Some(At::Unix(_)) => {
            let note =
                "Over a Unix socket gunicorn believes these headers, whatever its forwarded_allow_ips.";
            return (format!("{note}{others}"), None);
        }
        _ if wanted.own.is_some() => {
            let note = "gunicorn believes these headers from the addresses of its forwarded_allow_ips alone: they have to \
                        name the address that this edge comes from: \"--forwarded-allow-ips\", \"ADDRESS\" in args of the \
                        app, or FORWARDED_ALLOW_IPS in its env.";
            return (format!("{note}{}", known(app)), None);
        }
        Some(At::Tcp(host, _)) => {
            // A machine comes to an address of its own from that address, and to any of the loopback from the first.
            let host = match host.parse::<IpAddr>() {
                Ok(IpAddr::V4(ip)) if ip.is_loopback() => "127.0.0.1".to_owned(),
                _ => host.clone(),
            };
            let note = format!(
                "gunicorn believes these headers from the addresses of its forwarded_allow_ips alone, and sees this edge as {host}."
            );
            (note, host)
        }
        None => return (String::new(), None),
    };
    let fits = app.trusts.as_ref().is_none_or(|list| covers(list, &needed, knows_networks(app)));
    let warning = (!fits).then(|| {
        format!(
            "{name}: gunicorn does not believe this edge that a client came over https:{}; add \"--forwarded-allow-ips\", \
             \"{needed}\" to args of the app",
            known(app)
        )
    });
    (format!("{note}{others}"), warning)
}

fn known(app: &ServedApp) -> String {
    match &app.trusts {
        Some(list) => {
            let list = shortened(&list.join(", "), 120);
            format!(" its forwarded_allow_ips is {}", if list.is_empty() { "empty" } else { &list })
        }
        None => String::new(),
    }
}

/// Whether the list has the address, itself or in a network.
fn covers(list: &[String], wanted: &str, networks: bool) -> bool {
    let ip = wanted.parse::<IpAddr>().ok();
    list.iter()
        .any(|entry| entry == "*" || entry == wanted || networks && ip.is_some_and(|ip| within(entry, ip)))
}

/// gunicorn itself from 24.1 on; uvicorn looks at the list in its own way.
fn knows_networks(app: &ServedApp) -> bool {
    let mut parts = app
        .gunicorn
        .iter()
        .flat_map(|version| version.split('.'))
        .map(|part| part.parse::<u32>().unwrap_or(0));
    app.class.is_some_and(|class| class.traits().believes == Believes::Uvicorn)
        || (parts.next(), parts.next()) >= (Some(24), Some(1))
}

fn within(network: &str, ip: IpAddr) -> bool {
    let Some((base, bits)) = network.split_once('/') else { return false };
    let (Ok(base), Ok(bits)) = (base.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let same = |a: u128, b: u128, width: u32| bits <= width && (bits == 0 || (a ^ b) >> (width - bits) == 0);
    match (base, ip) {
        (IpAddr::V4(base), IpAddr::V4(ip)) => same(u32::from(base).into(), u32::from(ip).into(), 32),
        (IpAddr::V6(base), IpAddr::V6(ip)) => same(u128::from(base), u128::from(ip), 128),
        _ => false,
    }
}
