//! `ostler edge PROGRAM`: the configuration of what stands in front.

use std::collections::BTreeMap;

use crate::cli::arguments::{Common, EdgeArguments};
use crate::cli::client::Client;
use crate::cli::config_file;
use crate::cli::edge::{Printed, Tls, Wanted, print};
use crate::cli::error::VerbError;
use crate::cli::screen::{complain, plain, say};
use crate::cli::served;
use crate::control::protocol::exit;
use crate::plan;

/// Prints it; 64 where what is asked for cannot be.
pub(super) async fn run(client: &Client, arguments: EdgeArguments, common: &Common) -> Result<u8, VerbError> {
    let (served, source) = match &arguments.config {
        Some(file) => {
            let config = config_file::load(file).map_err(|why| VerbError::said(exit::CONFIGURATION, why))?;
            let served = plan::served(&config, &config.health, &BTreeMap::new());
            (served, format!("from the file {} and its apps.d, without asking ostlerd", file.display()))
        }
        None => (served::ask(client).await?, format!("from what ostlerd runs ({})", common.socket.display())),
    };
    let printed = print(arguments.program, &served, &wanted(arguments, source))
        .map_err(|why| VerbError::said(exit::USAGE, why))?;
    if common.how.json {
        say(&serde_json::to_string(&printed).expect("text and lists are JSON"))?;
    } else {
        say(&printed.configuration)?;
    }
    tell(&printed);
    Ok(0)
}

fn tell(printed: &Printed) {
    for warning in &printed.warnings {
        complain(&format!("ostler: warning: {}", plain(warning)));
    }
}

fn wanted(arguments: EdgeArguments, source: String) -> Wanted {
    let tls = match (arguments.no_tls, arguments.cert) {
        (true, _) => Tls::Off,
        (false, Some(cert)) => Tls::Files { cert, key: arguments.key },
        (false, None) => Tls::Automatic,
    };
    Wanted {
        source,
        app: arguments.app,
        own: arguments.own,
        peers: arguments.peers,
        hosts: arguments.hosts,
        tls,
        email: arguments.email,
        cdn: arguments.cdn,
        max_body: arguments.max_body,
        listen: arguments.listen,
        http_port: arguments.http_port,
        https_port: arguments.https_port,
        check_every: arguments.check_every,
        special: arguments.special,
    }
}
