//! The status page: the picture as one file of HTML that needs nothing else, and a stream of new ones.
//!
//! `html` and `tables` make it, both pure; `page.css` and `page.js` are in it; `draw` makes new ones, and `frames` sends them to
//! who watches.

mod draw;
mod frames;
mod html;
mod tables;

use std::sync::LazyLock;

pub use draw::draw;
pub(super) use frames::Frames;
pub use frames::Viewers;

use super::health::Verdict;
use super::{Board, words::Tone};
use html::Html;
use tables::tone_class;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What a browser may do with the page: show it, with this style and this script, which asks nobody but us.
/// The hashes are of the two files as they stand between their tags.
pub(super) const POLICY: &str = "default-src 'none'; img-src data:; connect-src 'self'; \
    style-src 'sha256-3i8eATlmz3OsS9c1JJqGLhQtrGXnV9g7VVcP0CMBm30='; \
    script-src 'sha256-zk0c5QSUXAZDGmZa5nBC8lh02nWbWxPstIys5ZLn+HU='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The machine's name, as it was when it was first asked for.
pub fn host() -> &'static str {
    static HOST: LazyLock<String> = LazyLock::new(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        super::words::one_line(&name)
    });
    &HOST
}

/// The whole page.
pub(super) fn page(board: &Board, verdict: &Verdict, host: &str) -> String {
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n");
    html.raw("<link rel=\"icon\" href=\"data:,\">\n<title>").text(&title(verdict, host)).raw("</title>\n");
    html.raw("<style>").raw(STYLE).raw("</style>\n</head>\n<body>\n");
    html.raw("<p id=\"stale\" role=\"status\" hidden></p>\n<main>\n");
    main(&mut html, board, verdict, host);
    html.raw("</main>\n<script>").raw(SCRIPT).raw("</script>\n</body>\n</html>\n");
    html.into_string()
}

/// What of it changes: the title on the first line, and what is inside of `<main>`.
pub(super) fn frame(board: &Board, verdict: &Verdict, host: &str) -> String {
    let mut html = Html::default();
    main(&mut html, board, verdict, host);
    format!("{}\n{}", title(verdict, host), html.into_string())
}

fn state(verdict: &Verdict) -> (&'static str, Tone) {
    match verdict {
        Verdict::Pass => ("ready", Tone::Good),
        Verdict::Warn(_) => ("ready", Tone::Warn),
        Verdict::Fail(_) => ("NOT READY", Tone::Bad),
    }
}

fn title(verdict: &Verdict, host: &str) -> String {
    format!("{} – {} – ostler", state(verdict).0, super::words::one_line(host))
}

fn main(html: &mut Html, board: &Board, verdict: &Verdict, host: &str) {
    let (word, tone) = state(verdict);
    html.raw("<header>\n<h1>").text(host).raw("</h1>\n<p class=\"verdict ").raw(tone_class(tone));
    html.raw("\"><strong>").raw(word).raw("</strong>");
    if let Some(reason) = verdict.reason() {
        html.raw(" – ").text(&super::words::one_line(reason));
    }
    html.raw("</p>\n<p>").text(&board.sum).raw("</p>\n");
    for (tone, note) in &board.notes {
        html.raw("<p class=\"").raw(tone_class(*tone)).raw("\">").text(note).raw("</p>\n");
    }
    html.raw("</header>\n");
    if !board.apps.is_empty() {
        tables::apps(html, &board.apps);
    }
    for app in &board.apps {
        tables::app(html, app);
    }
    html.raw("<footer>").text(&board.daemon).raw("</footer>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Trend;
    use crate::observe::testing::{app, status, worker};
    use crate::supervise::{LastWords, WorkerState};

    fn shop() -> Board {
        let mut shop = app("shop", vec![worker(1, WorkerState::Ready)]);
        shop.listeners = vec!["unix:/run/<b>.sock".into()];
        shop.directory = Some("/srv/\"onmouseover=x".into());
        shop.problem = Some("<script>alert(1)</script>".into());
        shop.last_words =
            Some(LastWords { message: String::new(), traceback: "<script>alert(2)</script>\n</pre>".into() });
        Board::new(&status(vec![shop]), &Trend::default())
    }

    #[test]
    fn nothing_that_an_app_says_is_markup() {
        let page = page(&shop(), &Verdict::Fail("<img src=x>".into()), "<h>");
        assert_eq!(page.matches("<script").count(), 1, "the page's own:\n{page}");
        assert!(!page.contains("<img") && !page.contains("\"onmouseover") && !page.contains("<h>"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(2)&lt;/script&gt;\n&lt;/pre&gt;"), "{page}");
    }

    #[test]
    fn the_title_tells_the_state_and_a_frame_begins_with_it() {
        let fail = Verdict::Fail("shop: 0 of 1 worker ready".into());
        assert!(page(&shop(), &fail, "web1").contains("<title>NOT READY – web1 – ostler</title>"));
        assert!(frame(&shop(), &Verdict::Pass, "web1").starts_with("ready – web1 – ostler\n<header>\n"));
    }

    #[test]
    fn the_page_is_whole_without_a_script_and_a_table_says_what_its_cells_are() {
        let page = page(&shop(), &Verdict::Pass, "web1");
        for part in
            ["http-equiv=\"refresh\"", "<caption>", "scope=\"col\"", "scope=\"row\"", ">w1<", ">ready<"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        for outside in ["src=\"", "http://", "https://", "@import", "url(", "eval", " style=\""] {
            assert!(!page.contains(outside), "{outside}: {page}");
        }
    }
}
