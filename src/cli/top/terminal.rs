//! The terminal: taken over, drawn on, and given back however it ends.
//!
//! A thread of its own writes to it, one frame at a time: a terminal that takes none holds up nobody, and what would have
//! been drawn meanwhile is never made.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use ratatui::crossterm::queue;
use ratatui::crossterm::style::ResetColor;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a terminal may take to show what was there before.
const PATIENCE: Duration = Duration::from_secs(1);

/// Keys that may wait.
const KEYS: usize = 64;

/// What the terminal says.
#[derive(Debug)]
pub(super) enum Said {
    /// A key, or another size.
    Event(Event),
    /// A frame was taken.
    Drawn,
    /// It is gone.
    Gone,
}

/// What a frame is drawn into before it is written.
#[derive(Clone, Default)]
struct Sheet(Rc<RefCell<Vec<u8>>>);

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The terminal while it is ours. Given back when dropped.
pub(super) struct TopTerminal {
    terminal: Terminal<CrosstermBackend<Sheet>>,
    sheet: Sheet,
    frames: SyncSender<Vec<u8>>,
    said: mpsc::Receiver<Said>,
    /// Whether a frame is on its way.
    busy: bool,
    left: bool,
}

impl TopTerminal {
    /// Takes the terminal over.
    ///
    /// # Errors
    ///
    /// Where standard output is none, or its settings cannot be changed.
    pub(super) fn open() -> io::Result<TopTerminal> {
        let sheet = Sheet::default();
        let area = area()?;
        let options = TerminalOptions { viewport: Viewport::Fixed(area) };
        let terminal = Terminal::with_options(CrosstermBackend::new(sheet.clone()), options)?;
        enable_raw_mode()?;
        give_back_on_panic();
        let (frames, taken) = sync_channel::<Vec<u8>>(1);
        let (saying, said) = mpsc::channel(KEYS);
        let drawn = saying.clone();
        std::thread::spawn(move || {
            for frame in taken {
                let mut out = io::stdout().lock();
                let written = out.write_all(&frame).and_then(|()| out.flush());
                let gone = written.is_err();
                let said = if gone { Said::Gone } else { Said::Drawn };
                if drawn.blocking_send(said).is_err() || gone {
                    return;
                }
            }
        });
        std::thread::spawn(move || {
            loop {
                let said = event::read().map_or(Said::Gone, Said::Event);
                let gone = matches!(said, Said::Gone);
                if saying.blocking_send(said).is_err() || gone {
                    return;
                }
            }
        });
        let mut opened = TopTerminal { terminal, sheet, frames, said, busy: false, left: false };
        queue!(opened.sheet, EnterAlternateScreen, EnableBracketedPaste, Hide, Clear(ClearType::All))?;
        opened.send();
        Ok(opened)
    }

    /// What the terminal says next. Safe to cancel.
    pub(super) async fn said(&mut self) -> Said {
        let said = self.said.recv().await;
        let said = said.unwrap_or(Said::Gone);
        if let Said::Drawn = said {
            self.busy = false;
        }
        said
    }

    /// Whether the frame before has been taken.
    pub(super) fn is_free(&self) -> bool {
        !self.busy
    }

    /// Draws, where the frame before has been taken; only what differs from it is sent.
    ///
    /// # Errors
    ///
    /// Where the terminal does not say how large it is.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if self.busy {
            return Ok(());
        }
        let area = area()?;
        if area != self.terminal.get_frame().area() {
            self.terminal.resize(area)?;
        }
        self.terminal.draw(draw)?;
        self.send();
        Ok(())
    }

    /// Hands over what stands on the sheet.
    fn send(&mut self) {
        let frame = self.sheet.0.take();
        if !frame.is_empty() {
            self.busy = self.frames.try_send(frame).is_ok();
        }
    }

    /// Gives the terminal back; one that takes nothing is left as it is.
    pub(super) async fn leave(mut self) {
        let waited = async {
            while self.busy {
                if let Said::Gone = self.said().await {
                    return;
                }
            }
            self.sheet.0.take();
            if leave(&mut self.sheet).is_ok() {
                self.send();
            }
            while self.busy {
                if let Said::Gone = self.said().await {
                    return;
                }
            }
        };
        let _ = timeout(PATIENCE, waited).await;
        self.left = true;
        let _ = disable_raw_mode();
    }
}

impl Drop for TopTerminal {
    fn drop(&mut self) {
        if !self.left {
            give_back();
        }
    }
}

/// The size of the terminal; some do not know theirs.
fn area() -> io::Result<Rect> {
    let (width, height) = size()?;
    Ok(if width == 0 || height == 0 { Rect::new(0, 0, 80, 24) } else { Rect::new(0, 0, width, height) })
}

fn leave(out: &mut impl Write) -> io::Result<()> {
    queue!(out, ResetColor, DisableBracketedPaste, LeaveAlternateScreen, Show)
}

fn give_back() {
    let mut out = io::stdout();
    // A terminal that is gone needs nothing.
    let _ = leave(&mut out).and_then(|()| out.flush());
    let _ = disable_raw_mode();
}

/// What a panic says would be lost with the screen that it is said on.
fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        before(panic);
    }));
}
