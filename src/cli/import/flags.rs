//! gunicorn's options, 20.1 to 27: what each is called, and whether it takes a value.

/// An option, its short form where it has one.
pub(super) struct KnownFlag {
    pub(super) short: Option<char>,
    pub(super) long: &'static str,
    pub(super) takes: Takes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Value,
    /// `--proxy-protocol [VERSION]`
    PerhapsValue,
}

const fn value(long: &'static str) -> KnownFlag {
    KnownFlag { short: None, long, takes: Takes::Value }
}

const fn short(letter: char, long: &'static str) -> KnownFlag {
    KnownFlag { short: Some(letter), long, takes: Takes::Value }
}

const fn plain(long: &'static str) -> KnownFlag {
    KnownFlag { short: None, long, takes: Takes::Nothing }
}

pub(super) const FLAGS: &[KnownFlag] = &[
    short('b', "bind"),
    short('c', "config"),
    short('e', "env"),
    short('g', "group"),
    short('k', "worker-class"),
    short('m', "umask"),
    short('n', "name"),
    short('p', "pid"),
    short('t', "timeout"),
    short('u', "user"),
    short('w', "workers"),
    KnownFlag { short: Some('D'), long: "daemon", takes: Takes::Nothing },
    KnownFlag { short: Some('R'), long: "enable-stdio-inheritance", takes: Takes::Nothing },
    KnownFlag { short: Some('h'), long: "help", takes: Takes::Nothing },
    KnownFlag { short: Some('v'), long: "version", takes: Takes::Nothing },
    KnownFlag { short: None, long: "proxy-protocol", takes: Takes::PerhapsValue },
    plain("capture-output"),
    plain("casefold-http-method"),
    plain("check-config"),
    plain("disable-redirect-access-to-syslog"),
    plain("do-handshake-on-connect"),
    plain("enable-backlog-metric"),
    plain("initgroups"),
    plain("log-syslog"),
    plain("no-control-socket"),
    plain("no-sendfile"),
    plain("permit-obsolete-folding"),
    plain("permit-unconventional-http-method"),
    plain("permit-unconventional-http-version"),
    plain("preload"),
    plain("print-config"),
    plain("reload"),
    plain("reuse-port"),
    plain("spew"),
    plain("strip-header-spaces"),
    plain("suppress-ragged-eofs"),
    value("access-logfile"),
    value("access-logformat"),
    value("asgi-disconnect-grace-period"),
    value("asgi-lifespan"),
    value("asgi-loop"),
    value("backlog"),
    value("ca-certs"),
    value("cert-reqs"),
    value("certfile"),
    value("chdir"),
    value("ciphers"),
    value("control-socket"),
    value("control-socket-mode"),
    value("dirty-app"),
    value("dirty-graceful-timeout"),
    value("dirty-threads"),
    value("dirty-timeout"),
    value("dirty-workers"),
    value("dogstatsd-tags"),
    value("error-logfile"),
    value("forwarded-allow-ips"),
    value("forwarder-headers"),
    value("graceful-timeout"),
    value("header-map"),
    value("http-parser"),
    value("http-protocols"),
    value("http2-cleartext"),
    value("http2-initial-window-size"),
    value("http2-max-concurrent-streams"),
    value("http2-max-frame-size"),
    value("http2-max-header-list-size"),
    value("keep-alive"),
    value("keyfile"),
    value("limit-request-field_size"),
    value("limit-request-fields"),
    value("limit-request-line"),
    value("log-config"),
    value("log-config-json"),
    value("log-file"),
    value("log-level"),
    value("log-syslog-facility"),
    value("log-syslog-prefix"),
    value("log-syslog-to"),
    value("logger-class"),
    value("max-requests"),
    value("max-requests-jitter"),
    value("paste"),
    value("paste-global"),
    value("paster"),
    value("protocol"),
    value("proxy-allow-from"),
    value("pythonpath"),
    value("reload-engine"),
    value("reload-extra-file"),
    value("root-path"),
    value("ssl-version"),
    value("statsd-host"),
    value("statsd-prefix"),
    value("threads"),
    value("uwsgi-allow-from"),
    value("websocket-max-message-size"),
    value("worker-connections"),
    value("worker-tmp-dir"),
];

/// An option by its long name or an unambiguous beginning of it, as argparse takes it.
pub(super) fn long(name: &str) -> Option<&'static KnownFlag> {
    if let Some(exact) = FLAGS.iter().find(|flag| flag.long == name) {
        return Some(exact);
    }
    let mut near = FLAGS.iter().filter(|flag| !name.is_empty() && flag.long.starts_with(name));
    match (near.next(), near.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// An option by its letter.
pub(super) fn letter(letter: char) -> Option<&'static KnownFlag> {
    FLAGS.iter().find(|flag| flag.short == Some(letter))
}

/// Whether gunicorn has a setting of this name in its gunicorn.conf.py.
pub(super) fn is_setting(name: &str) -> bool {
    const OTHERS: [&str; 14] = [
        "accesslog",
        "access_log_format",
        "capture_output",
        "check_config",
        "errorlog",
        "forwarded_allow_ips",
        "keepalive",
        "logconfig",
        "loglevel",
        "pidfile",
        "preload_app",
        "proc_name",
        "raw_env",
        "wsgi_app",
    ];
    OTHERS.contains(&name) || FLAGS.iter().any(|flag| flag.long.replace('-', "_") == name)
}

/// Why one of gunicorn's settings is not followed, by its name in gunicorn.conf.py.
pub(super) fn ignored(setting: &str) -> &'static str {
    match setting {
        "reload_extra_file" => crate::plan::why_ignored("reload_extra_files"),
        "no_control_socket" => crate::plan::why_ignored("control_socket"),
        setting => crate::plan::why_ignored(setting),
    }
}
