//! What lies over the picture: questions, help, one app with everything about it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph, Widget, Wrap};

use crate::observe::words::Tone;

use super::dialog::{Dialog, KEYS};
use super::draw::text;
use super::ink::Ink;
use super::state::Top;

/// A dialog is no wider than lines are good to read.
const WIDEST: u16 = 64;

/// Draws a dialog in the middle.
pub(super) fn dialog(buffer: &mut Buffer, area: Rect, ink: Ink, dialog: &mut Dialog) {
    match dialog {
        Dialog::Confirm(_, question, words) => {
            let lines = vec![
                Line::styled(question.as_str(), ink.strong()),
                Line::raw(words.as_str()),
                Line::raw(""),
                Line::styled("y: do it   n: leave it", ink.strong()),
            ];
            framed(buffer, area, "", lines);
        }
        Dialog::Number(app, wanted, typed) => {
            let lines = vec![
                Line::styled(format!("How many workers of {app}? {typed}_"), ink.strong()),
                Line::raw(format!("Now it is {wanted}; 1 to 1000.")),
                Line::raw(""),
                Line::styled("Enter: go on   Esc: leave it", ink.strong()),
            ];
            framed(buffer, area, "", lines);
        }
        Dialog::Help => {
            let lines = KEYS.iter().map(|(keys, what)| Line::raw(format!("{keys:<11} {what}"))).collect();
            framed(buffer, area, " keys ", lines);
        }
        Dialog::Words(words, leaf) => {
            Clear.render(area, buffer);
            let block = Block::bordered().title(" Esc: back ").border_style(ink.of(Tone::Faint));
            let inner = block.inner(area);
            block.render(area, buffer);
            let lines: Vec<_> = words.lines().map(|line| (line.to_owned(), Style::new())).collect();
            text(buffer, inner, &lines, |count, height| leaf.first(count, height));
        }
    }
}

fn framed(buffer: &mut Buffer, area: Rect, title: &str, lines: Vec<Line<'_>>) {
    let width = area.width.min(WIDEST);
    let inside = usize::from(width.saturating_sub(4)).max(1);
    // Lines break at words, which takes a line more at times.
    let rows: usize = lines.iter().map(|line| line.width().div_ceil(inside).max(1)).sum();
    let breaks = lines.iter().filter(|line| line.width() > inside).count();
    let height = ((rows + breaks) as u16 + 2).min(area.height);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(place, buffer);
    let block = Block::bordered().title(title);
    let inner = block.inner(place);
    block.render(place, buffer);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    Paragraph::new(lines).wrap(Wrap { trim: true }).render(inner, buffer);
}

/// Everything about the selected app.
pub(super) fn leaf(buffer: &mut Buffer, area: Rect, ink: Ink, top: &mut Top) {
    let Some(app) = top.app() else { return };
    let mut lines = vec![
        (String::new(), Style::new()),
        (format!("{} {}", app.name, app.generation), ink.strong()),
        (format!("{}, {} workers ready", app.state.text, app.ready.text), ink.of(app.state.tone)),
    ];
    lines.extend(app.notes.iter().map(|note| (note.text.clone(), ink.of(note.tone))));
    for (what, fact) in &app.facts {
        lines.push((format!("{what:<11} {}", fact.text), ink.of(fact.tone)));
    }
    if let Some(words) = &app.last_words {
        let title = "what its worker said last:".to_owned();
        lines.extend([(String::new(), Style::new()), (title, ink.of(Tone::Faint))]);
        lines.extend(words.lines().map(|line| (line.to_owned(), ink.of(Tone::Plain))));
    }
    let mut leaf = top.leaf.unwrap_or_default();
    text(buffer, area, &lines, |count, height| leaf.first(count, height));
    top.leaf = Some(leaf);
}
