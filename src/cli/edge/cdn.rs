//! Who may say where a client comes from: the networks that a CDN asks from, as it publishes them.

use super::wanted::Cdn;

/// Cloudflare's, of <https://www.cloudflare.com/ips/>.
const CLOUDFLARE: &[&str] = &[
    "173.245.48.0/20",
    "103.21.244.0/22",
    "103.22.200.0/22",
    "103.31.4.0/22",
    "141.101.64.0/18",
    "108.162.192.0/18",
    "190.93.240.0/20",
    "188.114.96.0/20",
    "197.234.240.0/22",
    "198.41.128.0/17",
    "162.158.0.0/15",
    "104.16.0.0/13",
    "104.24.0.0/14",
    "172.64.0.0/13",
    "131.0.72.0/22",
    "2400:cb00::/32",
    "2606:4700::/32",
    "2803:f800::/32",
    "2405:b500::/32",
    "2405:8100::/32",
    "2a06:98c0::/29",
    "2c0f:f248::/32",
];

impl Cdn {
    /// Its networks.
    pub(super) fn networks(self) -> &'static [&'static str] {
        match self {
            Cdn::Cloudflare => CLOUDFLARE,
        }
    }

    /// The header in which it names the client.
    pub(super) fn header(self) -> &'static str {
        match self {
            Cdn::Cloudflare => "CF-Connecting-IP",
        }
    }

    /// What to know of it.
    pub(super) fn note(self) -> &'static str {
        match self {
            Cdn::Cloudflare => {
                "Cloudflare names the client in CF-Connecting-IP. Only its own networks are believed, as of \
                 https://www.cloudflare.com/ips/ when this ostler was made: look there when it adds one. Whoever else \
                 reaches this edge directly can claim nothing."
            }
        }
    }
}
