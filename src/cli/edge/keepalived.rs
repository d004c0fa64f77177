//! keepalived 2: an address that is on a server that is ready.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::program::{self, Paths, Program};
use super::special::Keepalived;
use super::text::{self, Text};
use super::wanted::{Peer, Wanted};
use crate::config::Address;
use crate::plan::Served;

/// From one check to the next.
const CHECK_EVERY: Duration = Duration::from_secs(2);

pub(super) static PROGRAM: Program = Program {
    word: "keepalived",
    name: "keepalived",
    prints: "keepalived.conf: an address that moves to a server that is ready",
    examples: &["keepalived --self 10.0.0.1 --peer 10.0.0.2 --vip 10.0.0.10/24"],
    check_every: Some(CHECK_EVERY),
    paths: Paths {
        never: &["\"", "'", "$", "\\", "!", "#", "@", "~", "{", "}", " ", "<", ">", "|", "&", ";"],
        always_quoted: false,
        quote: |path| format!("\"{path}\""),
    },
    proxy: None,
    print,
};

/// What takes the address away: more than two servers' priorities lie apart.
const FAULT: u8 = 50;

/// How health is asked for.
enum Question {
    Unix(String),
    Tcp(String),
}

/// The file, and what does not fit.
fn print(served: &Served, wanted: &Wanted) -> Result<program::File, String> {
    let options = &wanted.special.keepalived;
    if options.vips.is_empty() {
        return Err(
            "which address is to move? say --vip ADDRESS/BITS, for example --vip 10.0.0.10/24".to_owned()
        );
    }
    let own = wanted.own.as_ref().ok_or(
        "which address has this server itself? say --self ADDRESS, and --peer ADDRESS for each other one",
    )?;
    let own = address(own, "--self")?;
    let peers = wanted.peers.iter().map(|peer| address(peer, "--peer")).collect::<Result<Vec<_>, _>>()?;
    if peers.is_empty() {
        return Err(
            "between which servers is the address to move? say --peer ADDRESS for each other one".to_owned()
        );
    }
    let family = own.is_ipv4();
    if peers.iter().any(|peer| peer.is_ipv4() != family) {
        return Err("the servers have to speak of the address all by IPv4, or all by IPv6".to_owned());
    }
    if peers.contains(&own) {
        return Err(format!("{own} is this server and another one: --peer is for the others"));
    }
    if options.vips.iter().all(|vip| vip.ip.is_ipv4() != family) {
        return Err("the first --vip has to be of the same family as --self, IPv4 or IPv6".to_owned());
    }
    let question = question(served)?;
    let track = served.track_file.as_deref().map(|path| word("track_file", path)).transpose()?;
    let mut warnings = Vec::new();
    if question.is_none() {
        warnings.push(
            "health is answered nowhere, so nobody notices that ostlerd is gone: set listen = [\"unix:/run/ostler/health.sock\"] in \
             [health] of the main file, and restart ostlerd"
                .to_owned(),
        );
    }
    if track.is_none() {
        warnings.push(
            "a drain is noticed with the next checks only: with track_file = \"/run/ostler/keepalived\" in [health] of the main \
             file, after a restart of ostlerd and when this is printed again, it is at once"
                .to_owned(),
        );
    }
    let file = File { wanted, options, own, peers, question, track };
    Ok(program::File { place: "/etc/keepalived/keepalived.conf", text: file.print(&warnings), warnings })
}

fn address(peer: &Peer, option: &str) -> Result<IpAddr, String> {
    match (peer.ip(), peer.port) {
        (Some(ip), None) => Ok(ip),
        _ => Err(format!("{option} {}: keepalived takes an IP address, without a port", peer.host)),
    }
}

fn word(what: &str, path: &Path) -> Result<String, String> {
    text::path(&PROGRAM, &format!("`{what}`"), &path.to_string_lossy())
}

fn question(served: &Served) -> Result<Option<Question>, String> {
    for address in &served.health {
        if let Address::Unix(path) = address {
            return Ok(Some(Question::Unix(word("listen of [health]", path)?)));
        }
    }
    let tcp = served.health.iter().find_map(|address| match address {
        Address::Tcp(address) => Some(*address),
        _ => None,
    });
    Ok(tcp.map(|mut address| {
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Question::Tcp(address.to_string())
    }))
}

struct File<'a> {
    wanted: &'a Wanted,
    options: &'a Keepalived,
    own: IpAddr,
    peers: Vec<IpAddr>,
    question: Option<Question>,
    track: Option<String>,
}

impl File<'_> {
    fn print(&self, warnings: &[String]) -> String {
        let mut out = Text::new("    ");
        out.note(&format!("/etc/keepalived/keepalived.conf of {}", self.own));
        out.note(&format!("Printed by `ostler edge keepalived`, {}.", self.wanted.source));
        out.note(&format!(
            "On every other server print it with its own --self and --peer and another --priority: the highest one that is ready \
             has the address, the others within {FAULT} below it."
        ));
        out.command("keepalived --config-test && systemctl reload keepalived");
        for warning in warnings {
            out.note(&format!("WARNING: {warning}"));
        }
        out.gap();
        out.open("global_defs {");
        out.line("vrrp_version 3");
        out.line("script_user root");
        out.line("enable_script_security");
        out.close("}");
        self.checks(&mut out);
        self.instance(&mut out);
        out.finish()
    }

    fn checks(&self, out: &mut Text) {
        if let Some(track) = &self.track {
            out.gap();
            out.note(
                "ostlerd writes 1 into it the moment the server is not ready any more, most of all when it begins to drain, and 0 \
                 when it is again. After a `kill -9` of ostlerd it keeps its last word.",
            );
            out.open("track_file ostler_ready {");
            out.line(format!("file {track}"));
            out.line(format!("weight -{FAULT}"));
            out.close("}");
        }
        if let Some(question) = &self.question {
            let (how, url) = match question {
                Question::Unix(path) => (format!(" --unix-socket {path}"), "http://ostler/readyz".to_owned()),
                Question::Tcp(at) => (String::new(), format!("http://{at}/readyz")),
            };
            let every = self.wanted.check_every.unwrap_or(CHECK_EVERY).as_secs().max(1);
            out.gap();
            out.note(
                "Asks ostlerd, and so notices that there is none. systemd starts one that died within a second, and the workers \
                 serve meanwhile: only one that stays away fails twice.",
            );
            out.open("vrrp_script ostler_answers {");
            out.line(format!("script \"/usr/bin/curl -fs -o /dev/null -m 1{how} {url}\""));
            out.line(format!("interval {every}"));
            out.line("timeout 2");
            out.line("fall 2");
            out.line("rise 2");
            out.line(format!("weight -{FAULT}"));
            out.close("}");
        }
    }

    fn instance(&self, out: &mut Text) {
        out.gap();
        out.open("vrrp_instance ostler {");
        out.note("Who has the address is decided by priority alone.");
        out.line("state BACKUP");
        out.line(format!("interface {}", self.options.interface));
        out.line(format!("virtual_router_id {}", self.options.router_id));
        out.line(format!("priority {}", self.options.priority));
        out.note("The address is taken over three of these after its server has died.");
        out.line("advert_int 1");
        out.line(format!("unicast_src_ip {}", self.own));
        out.open("unicast_peer {");
        for peer in &self.peers {
            out.line(peer.to_string());
        }
        out.close("}");
        out.open("virtual_ipaddress {");
        for vip in self.options.vips.iter().filter(|vip| vip.ip.is_ipv4() == self.own.is_ipv4()) {
            out.line(format!("{}/{}", vip.ip, vip.bits));
        }
        out.close("}");
        let others: Vec<_> =
            self.options.vips.iter().filter(|vip| vip.ip.is_ipv4() != self.own.is_ipv4()).collect();
        if !others.is_empty() {
            out.note("Of the other family, so not announced; they come and go with the rest.");
            out.open("virtual_ipaddress_excluded {");
            for vip in others {
                out.line(format!("{}/{}", vip.ip, vip.bits));
            }
            out.close("}");
        }
        if self.track.is_some() {
            out.open("track_file {");
            out.line("ostler_ready");
            out.close("}");
        }
        if self.question.is_some() {
            out.open("track_script {");
            out.line("ostler_answers");
            out.close("}");
        }
        out.close("}");
    }
}
