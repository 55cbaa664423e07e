//! What the user sees: colours on a terminal only (`anstream` strips them elsewhere, and honours NO_COLOR).

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget};

/// Colours of `--help`.
pub const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Headings.
pub const HEADING: Style = AnsiColor::Green.on_default().bold();
/// Style of side notes.
pub const DIM: Style = Style::new().dimmed();
/// What went wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What needs attention.
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();

/// Says to stderr why a command failed.
pub fn error(why: &str) {
    anstream::eprintln!("{BAD}error{BAD:#}: {why}");
}

/// Says something that needs attention to stderr.
pub fn warning(message: &str) {
    anstream::eprintln!("{WARN}warning{WARN:#}: {message}");
}

/// Says how far a long run is: in one line that changes, or, where there is no terminal, in a line every [`PAUSE`].
pub struct Spinner {
    bar: ProgressBar,
    said: Mutex<Option<Instant>>,
}

/// Time between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(5);

impl Spinner {
    pub fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self { bar, said: Mutex::new(if is_terminal { None } else { Instant::now().checked_sub(PAUSE) }) }
    }

    /// Says it now, or not where something was said a moment ago.
    pub fn say(&self, what: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match said.as_mut() {
            None => self.bar.set_message(what),
            Some(said) if said.elapsed() < PAUSE => {}
            Some(said) => {
                *said = Instant::now();
                anstream::eprintln!("{what}");
            }
        }
    }

    /// Leaves the terminal to what is said for good.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
