//! `ports` of a service: which of the machine's lead to which of the container's.

use super::yaml::Node;
use crate::cli::import::image::Published;

/// More ports nobody publishes of one service.
const MOST: usize = 64;

/// The ports, and the entries that could not be read.
pub(super) fn read(node: &Node, fill: &dyn Fn(&str) -> String) -> (Vec<Published>, Vec<String>) {
    let (mut ports, mut left) = (Vec::new(), Vec::new());
    for item in node.items() {
        let read = match item.text() {
            Some(text) => short(&fill(text)),
            None => long(item, fill),
        };
        match read {
            Some(read) if ports.len() + read.len() <= MOST => ports.extend(read),
            _ => left.push(item.shown()),
        }
    }
    (ports, left)
}

/// `8000:8000`, `127.0.0.1:8000:8000`, `[::1]:80:80`, `8000-8002:8000-8002`, `8000/tcp`; a port alone gets one by chance.
fn short(text: &str) -> Option<Vec<Published>> {
    let text = text.strip_suffix("/tcp").unwrap_or(text);
    let Some((outside, inside)) = text.rsplit_once(':') else {
        range(text)?;
        return Some(Vec::new());
    };
    let (address, outside) = match outside.rsplit_once(':') {
        Some((address, outside)) => (address, outside),
        None => ("", outside),
    };
    let (outside, inside) = (range(outside)?, range(inside)?);
    let pairs = outside.clone().zip(inside.clone());
    let fits = outside.len() == inside.len() && outside.len() <= MOST && is_address(address);
    fits.then(|| {
        pairs.map(|(port, inside)| Published { address: address.to_owned(), port, inside }).collect()
    })
}

fn long(item: &Node, fill: &dyn Fn(&str) -> String) -> Option<Vec<Published>> {
    let text = |key: &str| item.get(key).and_then(Node::text).map(fill);
    if text("protocol").is_some_and(|it| it != "tcp") {
        return None;
    }
    let inside = text("target")?.parse().ok()?;
    let Some(port) = text("published") else { return Some(Vec::new()) };
    let address = text("host_ip").unwrap_or_default();
    let address = if address.contains(':') { format!("[{address}]") } else { address };
    let port = port.parse().ok()?;
    is_address(&address).then(|| vec![Published { address, port, inside }])
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
    (first > 0 && first <= last).then_some(first..=last)
}

fn is_address(address: &str) -> bool {
    let bare = address.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(address);
    address.is_empty() || bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_in_every_form() {
        let of = |text: &str| {
            let (ports, left) = read(&super::super::yaml::read(text).unwrap(), &str::to_owned);
            let ports = ports.iter().map(|it| format!("{}|{}|{}", it.address, it.port, it.inside));
            (ports.collect::<Vec<_>>().join(" "), left.len())
        };
        assert_eq!(
            of("['8000:80', 127.0.0.1:8001:81, '[::1]:1:2/tcp', 5000]"),
            ("|8000|80 127.0.0.1|8001|81 [::1]|1|2".to_owned(), 0)
        );
        assert_eq!(of("['8000-8001:80-81']"), ("|8000|80 |8001|81".to_owned(), 0));
        assert_eq!(
            of("[{target: 80, published: '8080', host_ip: 127.0.0.1}]"),
            ("127.0.0.1|8080|80".to_owned(), 0)
        );
        assert_eq!(of("['53:53/udp', 'x:y', '1-60000:1-60000', {target: x}, [1]]"), (String::new(), 5));
    }
}
