//! What the user sees: colours on a terminal only (`anstream` strips them elsewhere, and honours NO_COLOR).

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Style};

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
