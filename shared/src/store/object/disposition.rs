//! `Content-Disposition` (RFC 6266) for any Unicode file name (RFC 8187).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a browser is to do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Show it in place.
    Inline,
    /// Save it.
    Attachment,
}

impl Disposition {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Attachment => "attachment",
        }
    }
}

/// `attr-char` of RFC 8187, 3.2.1 stands for itself.
const EXTENDED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The header's value: `filename` in ASCII for all, and `filename*` where that is not the name.
pub fn header(disposition: Disposition, filename: &str) -> String {
    let name = harmless(filename);
    let plain: String = name.chars().map(fallback).collect();
    let header = format!("{}; filename=\"{plain}\"", disposition.name());
    match plain == name {
        true => header,
        false => format!("{header}; filename*=UTF-8''{}", utf8_percent_encode(&name, &EXTENDED)),
    }
}

/// The name without what could leave a directory, end a header's line, or show another name than it is.
fn harmless(filename: &str) -> String {
    let name: String = filename.chars().map(|symbol| if is_harmful(symbol) { '_' } else { symbol }).collect();
    match name.trim_matches(['.', ' ']) {
        // Nothing but dots and blanks names a directory, or nothing at all.
        "" => "_".repeat(name.chars().count().max(1)),
        _ => name,
    }
}

fn is_harmful(symbol: char) -> bool {
    let separates = matches!(symbol, '/' | '\\' | '\u{2028}' | '\u{2029}');
    // Marks that reorder what is read (UAX #9): `evil<RLO>gpj.exe` would be read as `evilexe.jpg`.
    let reorders = matches!(symbol, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    symbol.is_control() || separates || reorders
}

/// In ASCII, without what needs an escape or might be taken for one (RFC 6266, appendix D).
fn fallback(symbol: char) -> char {
    match symbol {
        '"' => '\'',
        '%' => '_',
        ' '..='~' => symbol,
        _ => '_',
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::Disposition::{Attachment, Inline};
    use super::*;

    #[test]
    fn names_are_said_as_the_standard_says_them() {
        let long = "ü".repeat(255);
        let cases = [
            (Inline, "a b.png", "inline; filename=\"a b.png\""),
            (Attachment, "naïve.txt", "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
            (Attachment, "say \"hi\".txt", "attachment; filename=\"say 'hi'.txt\"; filename*=UTF-8''say%20%22hi%22.txt"),
            (Attachment, "a\r\nSet-Cookie: x=1", "attachment; filename=\"a__Set-Cookie: x=1\""),
            (Attachment, "../../etc/passwd", "attachment; filename=\".._.._etc_passwd\""),
            (Attachment, "..", "attachment; filename=\"__\""),
            (Attachment, "", "attachment; filename=\"_\""),
            (Attachment, "gpj\u{202E}.exe", "attachment; filename=\"gpj_.exe\""),
            (Attachment, "100%25.txt", "attachment; filename=\"100_25.txt\"; filename*=UTF-8''100%2525.txt"),
            (Attachment, "日本.pdf", "attachment; filename=\"__.pdf\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf"),
        ];
        for (disposition, name, expected) in cases {
            assert_eq!(header(disposition, name), expected, "{name:?}");
        }
        assert!(header(Attachment, &long).ends_with(&"%C3%BC".repeat(255)));
    }

    proptest! {
        #[test]
        fn every_name_makes_one_line_of_ascii_that_says_it(name in "\\PC{0,40}|[\\x00-\\x{FFFF}]{0,40}") {
            let header = header(Attachment, &name);
            prop_assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{header}");
            let quoted = header.strip_prefix("attachment; filename=\"").unwrap();
            let (plain, rest) = quoted.split_once('"').unwrap();
            prop_assert!(!plain.contains(['\\', '/', '%']));
            let said = match rest.strip_prefix("; filename*=UTF-8''") {
                Some(extended) => percent_decode_str(extended).decode_utf8().unwrap().into_owned(),
                None => plain.to_owned(),
            };
            prop_assert_eq!(said, harmless(&name));
        }
    }
}
