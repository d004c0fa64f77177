//! Makes a manual page of one in Markdown, for a terminal of 80 columns.
//!
//! The first heading is `NAME(SECTION)`; comments are left out, and so are pictures. A table is drawn as one if it fits;
//! if not, each of its rows becomes an entry of a list: the first cell, and the others below it.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

mod roff;
mod table;

pub(super) use roff::short;
use roff::{escape, filled};
use table::Table;

/// What is being written.
#[derive(Default)]
struct Page {
    out: String,
    /// The piece of text that is not finished yet.
    text: String,
    /// Within a heading, which is in capitals.
    capitals: bool,
    /// Within a block of code, whose lines stay as they are.
    literal: bool,
    /// Within a picture, which no terminal shows.
    picture: bool,
    /// The lists that are open; of one with numbers, the next.
    lists: Vec<Option<u64>>,
    /// The first piece of an entry stands beside its mark.
    beside: bool,
    table: Option<Table>,
    tables: bool,
    link: String,
}

/// The page, as man(1) takes it.
pub(super) fn page(markdown: &str, date: &str) -> String {
    let mut page = Page::default();
    let mut title = String::new();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        if let Event::End(TagEnd::Heading(HeadingLevel::H1)) = event {
            title = std::mem::take(&mut page.text);
        } else {
            page.event(event);
        }
    }
    let (name, section) =
        title.trim_end_matches(')').split_once('(').expect("the first heading is NAME(SECTION)");
    // With tables, on a terminal: one endless page. groff(1) moves what does not fit on one, and man(1) shows no pages.
    let (tables, pages) = if page.tables { ("'\\\" t\n", ".if n .pl 10000v\n") } else { ("", "") };
    format!(
        "{tables}.TH {} {section} \"{date}\" \"ostler {}\" \"ostler\"\n{pages}.nh\n.ad l\n{}",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION"),
        page.out
    )
}

impl Page {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.literal => self.out += &roff::literal(&text),
            Event::Text(_) if self.picture => {}
            Event::Text(text) if self.capitals => self.text += &escape(&text.to_uppercase(), false),
            Event::Text(text) => self.text += &escape(&text, false),
            Event::Code(code) => self.text += &format!("\\fB{}\\fR", escape(&code, true)),
            Event::SoftBreak | Event::HardBreak => self.text += " ",
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level: HeadingLevel::H2, .. } => self.capitals = true,
            Tag::CodeBlock(_) => {
                self.finish();
                self.literal = true;
                self.paragraph();
                self.out += if self.beside { ".nf\n" } else { ".RS 2\n.nf\n" };
            }
            Tag::List(first) => {
                self.finish();
                self.lists.push(first);
            }
            Tag::Item => {
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. 3", *number - 1)
                    }
                    _ => "\\(bu 2".to_owned(),
                };
                self.out += &format!(".IP {mark}\n");
                self.beside = true;
            }
            Tag::Table(_) => self.table = Some(Table::default()),
            Tag::TableHead | Tag::TableRow => self.table.as_mut().expect("a row has a table").row(),
            Tag::Emphasis => self.text += "\\fI",
            Tag::Strong => self.text += "\\fB",
            Tag::Link { dest_url, .. } => self.link = dest_url.into_string(),
            Tag::Image { .. } => self.picture = true,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                self.capitals = false;
                let heading = std::mem::take(&mut self.text);
                let kind = if level == HeadingLevel::H2 { "SH" } else { "SS" };
                self.out += &format!(".{kind} {heading}\n");
            }
            TagEnd::Paragraph | TagEnd::Item => self.finish(),
            TagEnd::CodeBlock => {
                self.literal = false;
                self.out += if self.beside { ".fi\n" } else { ".fi\n.RE\n" };
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.beside = false;
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.text);
                self.table.as_mut().expect("a cell has a table").cell(cell);
            }
            TagEnd::Table => {
                let (text, drawn) = self.table.take().expect("it was begun").roff();
                self.tables |= drawn;
                if drawn {
                    self.paragraph();
                }
                self.out += &text;
            }
            TagEnd::Emphasis | TagEnd::Strong => self.text += "\\fR",
            TagEnd::Link => {
                let link = std::mem::take(&mut self.link);
                self.text = referring(std::mem::take(&mut self.text), &link);
            }
            TagEnd::Image => self.picture = false,
            _ => {}
        }
    }

    /// Writes the piece of text that has come to its end.
    fn finish(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.trim().is_empty() {
            return;
        }
        self.paragraph();
        self.out += &filled(&text);
    }

    /// Begins a paragraph; a heading and the mark of an entry have begun one.
    fn paragraph(&mut self) {
        let heading = self.out.trim_end().rsplit('\n').next().is_some_and(|line| line.starts_with(".S"));
        if !self.beside && !heading {
            self.out += ".PP\n";
        }
    }
}

/// A link to another page names it; one within the page is its words alone.
fn referring(mut text: String, link: &str) -> String {
    let file = link.split('#').next().unwrap_or_default();
    let Some((name, section)) = file.strip_suffix(".md").and_then(|file| file.rsplit_once('.')) else {
        return text;
    };
    let page = format!("\\fB{}\\fR({section})", escape(name, true));
    let words = escape(&format!("{name}({section})"), false);
    match text.strip_suffix(&words) {
        Some(before) => format!("{before}{page}"),
        None => {
            text += &format!(" ({page})");
            text
        }
    }
}
