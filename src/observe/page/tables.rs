//! The apps and their workers as tables. Pure.

use super::html::Html;
use crate::observe::words::Tone;
use crate::observe::{AppRow, Cell, heights};

/// How high a spark can be.
const STEPS: u8 = 16;

/// How many seconds it shows.
const WIDTH: usize = 60;

pub(super) fn tone_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "plain",
        Tone::Good => "good",
        Tone::Busy => "busy",
        Tone::Warn => "warn",
        Tone::Bad => "bad",
        Tone::Faint => "faint",
    }
}

/// Every app in a row.
pub(super) fn apps(html: &mut Html, apps: &[AppRow]) {
    html.raw(
        "<div class=\"wide\" id=\"wide-apps\"><table class=\"apps\"><caption>Apps</caption>\n<thead><tr>",
    );
    heads(html, APPS);
    html.raw("</tr></thead>\n<tbody>\n");
    for app in apps {
        html.raw("<tr><th scope=\"row\"><a id=\"to-").text(app.name.as_str()).raw("\" href=\"#app-");
        html.text(app.name.as_str()).raw("\">").text(app.name.as_str()).raw("</a></th>");
        let mut row = Row::behind_the_name(html, APPS);
        row.cell(&app.state).cell(&app.ready).plain(&app.rate).cell(&app.in_flight).cell(&app.oldest);
        row.cell(&app.queue).plain(&app.memory).spark(&app.course).plain(&app.generation);
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table></div>\n");
}

/// Heads of columns: what stands there, whether numbers stand below it, and what it means. What matters most comes first:
/// a narrow screen shows no more.
type Head = (&'static str, bool, &'static str);

const APPS: &[Head] = &[
    ("App", false, "one file in apps.d"),
    ("State", false, "how it is"),
    ("Ready", true, "workers that take clients, of those wanted"),
    ("Req/s", true, "requests per second, over five seconds"),
    ("Now", true, "requests under way"),
    ("Oldest", true, "age of the oldest request under way"),
    ("Queue", true, "connections that wait for a worker, of those that may"),
    ("Memory", true, "resident memory of its workers"),
    ("Last minute", false, "requests per second"),
    ("Gen", false, "the generation that serves"),
];

const WORKERS: &[Head] = &[
    ("Worker", false, "its name"),
    ("State", false, "how it is"),
    ("Age", true, "since its start"),
    ("Req/s", true, "requests per second, over five seconds"),
    ("Now", true, "requests under way"),
    ("Oldest", true, "age of the oldest of them"),
    ("Memory", true, "resident memory"),
    ("Requests", true, "requests finished"),
    ("PID", true, "its process"),
    ("Gen", false, "its generation"),
];

fn heads(html: &mut Html, heads: &'static [Head]) {
    for (name, number, meaning) in heads {
        html.raw("<th scope=\"col\" title=\"").raw(meaning);
        html.raw(if *number { "\" class=\"number\">" } else { "\">" }).raw(name).raw("</th>");
    }
}

/// The cells of a row, one after the other: each with the head that it stands below, for where there is no room for heads.
struct Row<'h> {
    html: &'h mut Html,
    heads: std::slice::Iter<'static, Head>,
}

impl<'h> Row<'h> {
    fn behind_the_name(html: &'h mut Html, heads: &'static [Head]) -> Row<'h> {
        Row { html, heads: heads[1..].iter() }
    }

    fn begin(&mut self, class: &'static str) {
        let (head, number, _) = self.heads.next().expect("a cell for each head");
        self.html.raw("<td data-head=\"").raw(head).raw("\" class=\"").raw(class);
        self.html.raw(if *number { " number\">" } else { "\">" });
    }

    fn cell(&mut self, cell: &Cell) -> &mut Self {
        self.begin(tone_class(cell.tone));
        self.html.text(&cell.text).raw("</td>");
        self
    }

    fn plain(&mut self, text: &str) -> &mut Self {
        self.begin("plain");
        self.html.text(text).raw("</td>");
        self
    }

    fn spark(&mut self, course: &[Option<f64>]) -> &mut Self {
        self.begin("long");
        spark(self.html, course);
        self.html.raw("</td>");
        self
    }
}

/// The course as bars, the newest at the right.
fn spark(html: &mut Html, course: &[Option<f64>]) {
    let most = course.iter().flatten().copied().fold(0.0, f64::max);
    html.raw("<svg class=\"spark\" viewBox=\"0 0 60 16\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"at most ");
    html.text(&format!("{most:.1}")).raw(" requests per second\"><path d=\"");
    let first = WIDTH.saturating_sub(course.len());
    for (at, height) in heights(course, STEPS).into_iter().enumerate().filter(|(_, height)| *height > 0) {
        let height = usize::from(height);
        html.raw("M").number(first + at).raw(" 16v-").number(height).raw("h1v").number(height).raw("z");
    }
    html.raw("\"/></svg>");
}

/// One app with everything about it.
pub(super) fn app(html: &mut Html, app: &AppRow) {
    let name = app.name.as_str();
    html.raw("<section id=\"app-").text(name).raw("\">\n<h2>").text(name).raw(" <span class=\"");
    html.raw(tone_class(app.state.tone)).raw("\">").text(&app.state.text).raw("</span></h2>\n");
    for note in &app.notes {
        html.raw("<p class=\"").raw(tone_class(note.tone)).raw("\">").text(&note.text).raw("</p>\n");
    }
    if let Some(words) = &app.last_words {
        html.raw("<details id=\"words-")
            .text(name)
            .raw("\" open><summary>what its worker said last</summary>");
        html.raw("<div class=\"words\" id=\"lines-").text(name).raw("\" tabindex=\"0\"><pre>");
        html.text(words).raw("</pre></div></details>\n");
    }
    if !app.facts.is_empty() {
        html.raw("<dl>");
        for (what, fact) in &app.facts {
            html.raw("<dt>").raw(what).raw("</dt><dd class=\"").raw(tone_class(fact.tone)).raw("\">");
            html.text(&fact.text).raw("</dd>");
        }
        html.raw("</dl>\n");
    }
    if !app.workers.is_empty() {
        workers(html, app);
    }
    html.raw("</section>\n");
}

fn workers(html: &mut Html, app: &AppRow) {
    html.raw("<div class=\"wide\" id=\"wide-of-").text(app.name.as_str());
    html.raw("\" tabindex=\"0\"><table><caption>Workers of ");
    html.text(app.name.as_str()).raw("</caption>\n<thead><tr>");
    heads(html, WORKERS);
    html.raw("</tr></thead>\n<tbody>\n");
    for worker in &app.workers {
        html.raw("<tr><th scope=\"row\">").text(&worker.id.to_string()).raw("</th>");
        let mut row = Row::behind_the_name(html, WORKERS);
        row.cell(&worker.state).plain(&worker.age).plain(&worker.rate).plain(&worker.in_flight);
        row.cell(&worker.oldest).plain(&worker.memory).plain(&worker.requests).plain(&worker.pid);
        row.plain(&worker.generation);
        html.raw("</tr>\n");
    }
    html.raw("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spark_stands_at_the_right_and_shows_no_second_in_which_nobody_looked() {
        let mut html = Html::default();
        spark(&mut html, &[Some(4.0), None, Some(0.0), Some(8.0)]);
        let text = html.into_string();
        assert!(text.contains("d=\"M56 16v-8h1v8zM59 16v-16h1v16z\""), "{text}");
        assert!(text.contains("at most 8.0 requests per second"), "{text}");
    }
}
