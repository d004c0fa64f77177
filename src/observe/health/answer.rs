//! A question and its answer. Pure: 200 or 503, first `ok` or `fail`, details for the trusted alone.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::judge::{Judge, Verdict};
use crate::observe::{AppStatus, Board, host, metrics, page};

const STRANGE_TO_THE_PAGE: &str =
    "fail: this page is for the loopback, asked for as localhost, the Unix socket or a bearer token\n";

const STRANGE_TO_METRICS: &str = "fail: metrics are for the loopback, asked for as localhost or by address, the Unix socket or a bearer token\n";

/// How it is asked. HEAD and OPTIONS get the status of GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET, HEAD or OPTIONS.
    Ask,
    /// Anything else.
    Other,
}

/// What is asked, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// How.
    pub method: Method,
    /// The path, `/readyz`.
    pub path: &'a str,
    /// What stands behind the question mark, or empty.
    pub query: &'a str,
    /// Whether `Accept` names `application/health+json`.
    pub json: bool,
    /// Whether details may be told.
    pub trusted: bool,
}

/// What the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `text/plain`
    Text,
    /// `application/health+json`
    Health,
    /// `application/openmetrics-text`
    Metrics,
    /// `text/plain; version=0.0.4`
    ClassicMetrics,
    /// `text/html`: the status page
    Page,
    /// `text/event-stream`: the page again and again; the body is made by who has the connection
    Events,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200 or 503; 403, 404 and 405 for what cannot be asked.
    pub code: u16,
    /// What the body is.
    pub form: Form,
    /// The body.
    pub body: Cow<'static, str>,
    /// Whether Envoy is told to take the machine out at once.
    pub leave_at_once: bool,
}

impl Answer {
    /// As it is for somebody who did not ask for OpenMetrics.
    pub(super) fn classic(self) -> Answer {
        match self.form {
            Form::Metrics => {
                Answer { form: Form::ClassicMetrics, body: metrics::classic(&self.body).into(), ..self }
            }
            _ => self,
        }
    }

    fn text(code: u16, body: impl Into<Cow<'static, str>>) -> Answer {
        Answer { code, form: Form::Text, body: body.into(), leave_at_once: false }
    }
}

/// One line of the details.
struct Line<'a> {
    name: &'a str,
    verdict: Verdict,
    optional: bool,
    /// Where it is about one.
    app: Option<&'a AppStatus>,
}

impl Judge<'_> {
    /// The answer to a question.
    pub fn answer(&self, question: &Question<'_>) -> Answer {
        let path = question.path;
        let app = path.strip_prefix("/readyz/");
        if !matches!(path, "/" | "/events" | "/livez" | "/readyz" | "/metrics") && app.is_none() {
            return Answer::text(404, "fail: the paths are /, /livez, /readyz, /readyz/APP and /metrics\n");
        }
        if question.method == Method::Other {
            return Answer::text(405, "fail: the methods are GET, HEAD and OPTIONS\n");
        }
        match (path, app) {
            ("/" | "/events", _) => self.page(question),
            ("/livez", _) => self.livez(question),
            ("/metrics", _) if question.trusted => Answer {
                code: 200,
                form: Form::Metrics,
                body: metrics::text(self).into(),
                leave_at_once: false,
            },
            ("/metrics", _) => Answer::text(403, STRANGE_TO_METRICS),
            (_, Some(name)) => match self.find(name) {
                Some(app) => self.readyz_app(app, question),
                None => Answer::text(404, "fail: no such app\n"),
            },
            _ => self.readyz(question),
        }
    }

    fn page(&self, question: &Question<'_>) -> Answer {
        let (form, body) = match (question.trusted, question.path) {
            (false, _) => return Answer::text(403, STRANGE_TO_THE_PAGE),
            (true, "/") => {
                let board = Board::new(self.status, self.vitals.trend());
                (Form::Page, page::page(&board, &self.machine(|_| false), host()).into())
            }
            (true, _) => (Form::Events, "".into()),
        };
        Answer { code: 200, form, body, leave_at_once: false }
    }

    fn livez(&self, question: &Question<'_>) -> Answer {
        let verdict = self.live();
        let lines = [Line { name: "loop", verdict: verdict.clone(), optional: false, app: None }];
        self.shown(question, &verdict, &lines)
    }

    fn readyz_app(&self, app: &AppStatus, question: &Question<'_>) -> Answer {
        let (common, own) = (self.common(), self.app(app));
        let verdict = if common.is_ok() { own.clone() } else { common.clone() };
        let name = app.name.as_str();
        let lines = [
            Line { name: "ostlerd", verdict: common, optional: false, app: None },
            Line { name, verdict: own, optional: false, app: Some(app) },
        ];
        self.shown(question, &verdict, &lines)
    }

    fn readyz(&self, question: &Question<'_>) -> Answer {
        let excluded = |name: &str| excludes(question.query, name);
        let verdict = self.machine(excluded);
        if !is_detailed(question) {
            return self.shown(question, &verdict, &[]);
        }
        let mut lines = vec![Line { name: "ostlerd", verdict: self.common(), optional: false, app: None }];
        for app in &self.status.apps {
            let name = app.name.as_str();
            let own = match excluded(name) {
                true => Verdict::Warn("excluded".to_owned()),
                false => self.app(app),
            };
            lines.push(Line { name, verdict: own, optional: app.health.optional, app: Some(app) });
        }
        self.shown(question, &verdict, &lines)
    }

    fn shown(&self, question: &Question<'_>, verdict: &Verdict, lines: &[Line<'_>]) -> Answer {
        let code = if verdict.is_ok() { 200 } else { 503 };
        let ready = question.path != "/livez";
        let leave_at_once = ready && self.status.draining && code == 503;
        if question.json {
            let body = self.health_json(question, verdict, lines).to_string().into();
            return Answer { code, form: Form::Health, body, leave_at_once };
        }
        let word = if code == 200 { "ok\n" } else { "fail\n" };
        if !is_detailed(question) {
            return Answer { leave_at_once, ..Answer::text(code, word) };
        }
        let mut body = word.to_owned();
        for Line { name, verdict, optional, app } in lines {
            let (sign, word) = if verdict.is_ok() { ('+', "ok") } else { ('-', "fail") };
            let optional = if *optional { " (optional)" } else { "" };
            let reason = verdict.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
            let _ = writeln!(body, "[{sign}]{name} {word}{optional}{reason}");
            if let Some((_, words)) = app.and_then(|app| self.migration(app)) {
                let _ = writeln!(body, "[+]{name} migration ok: {words}");
            }
        }
        Answer { leave_at_once, ..Answer::text(code, body) }
    }

    fn health_json(&self, question: &Question<'_>, verdict: &Verdict, lines: &[Line<'_>]) -> Value {
        let mut whole = Map::new();
        whole.insert("status".to_owned(), word(verdict).into());
        if !question.trusted {
            return Value::Object(whole);
        }
        whole.insert("releaseId".to_owned(), self.status.version.clone().into());
        whole.insert("serviceId".to_owned(), "ostlerd".into());
        if let Some(reason) = verdict.reason() {
            whole.insert("output".to_owned(), reason.into());
        }
        let mut checks = Map::new();
        for Line { name, verdict, optional: _, app } in lines {
            let mut check = json!({ "componentType": "component", "status": word(verdict) });
            if let Some(reason) = verdict.reason() {
                check["output"] = reason.into();
            }
            let Some(app) = app else {
                checks.insert((*name).to_owned(), json!([check]));
                continue;
            };
            let ready = app.workers.iter().filter(|it| it.state == crate::supervise::WorkerState::Ready);
            check["observedValue"] = ready.count().into();
            check["observedUnit"] = "workers".into();
            checks.insert(format!("{name}:ready"), json!([check]));
            if let Some((verdict, words)) = self.migration(app) {
                let mut check =
                    json!({ "componentType": "component", "status": word(&verdict), "output": words });
                if let Some(migration) = &app.migration {
                    check["observedValue"] = migration.since_seconds.into();
                    check["observedUnit"] = "s".into();
                }
                checks.insert(format!("{name}:migration"), json!([check]));
            }
            if let Some(waiting) = app.health.listen_queue {
                let queue = json!({ "componentType": "component", "observedValue": waiting,
                    "observedUnit": "connections" });
                checks.insert(format!("{name}:listenQueue"), json!([queue]));
            }
        }
        whole.insert("checks".to_owned(), Value::Object(checks));
        Value::Object(whole)
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Warn(_) => "warn",
        Verdict::Fail(_) => "fail",
    }
}

/// Whether a line each is wanted and may be told.
fn is_detailed(question: &Question<'_>) -> bool {
    let verbose =
        || pairs(question.query).any(|(key, value)| key == "verbose" && !matches!(value, "0" | "false"));
    question.trusted && (question.json || verbose())
}

fn excludes(query: &str, name: &str) -> bool {
    pairs(query).any(|(key, value)| key == "exclude" && value == name)
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
