use super::*;
use clap::CommandFactory;

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_takes_json_and_socket_behind_it() {
    for verb in [
        "status",
        "restart shop",
        "restart shop --accept-breakage",
        "restart shop --image r.io/shop:43 --accept-breakage",
        "images",
        "images shop --config /x",
        "images pull shop r.io/shop:43",
        "images prune",
        "rollback shop --accept-breakage",
        "migrate shop --accept-breakage",
        "migrate shop",
        "migrate shop --plan",
        "migrate shop --history",
        "migrate shop --abort",
        "migrate shop --resolve",
        "scale shop 3",
        "scale shop auto",
        "stop shop",
        "start shop",
        "reload",
        "check",
        "import x.service",
        "events",
        "drain",
        "undrain",
        "wait shop",
        "reexec",
        "edge nginx",
        "logs shop -f -n 20 --process w3 --since -1h",
    ] {
        let line = format!("ostler {verb} --json --socket /tmp/x");
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        assert!(cli.json, "{verb}");
        assert_eq!(cli.socket.unwrap(), PathBuf::from("/tmp/x"));
    }
}
