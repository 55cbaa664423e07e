//! The documentation page: one file without any address outside. Its style and its script stand in it and are admitted by their
//! hashes, so nothing that is shown in the page could ever run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::http::problem::Code;

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page and what a browser may do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The HTML.
    pub html: String,
    /// The value of `Content-Security-Policy`.
    pub policy: String,
}

/// The page of an API of this name. What the caller may do it reads itself, with the credentials that the reader enters.
pub fn page(name: &str) -> Page {
    assemble(&HTML.replace("{{errors}}", &errors()), name, STYLE, SCRIPT)
}

/// A page of ours from HTML with places for the API's name, one style and one script, and the policy that admits these alone.
pub fn assemble(html: &str, name: &str, style: &str, script: &str) -> Page {
    // What is put in is not searched for places again: the name first, because it is not ours.
    let html = html.replace("{{name}}", &escaped(name)).replace("{{style}}", style).replace("{{script}}", script);
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash(script),
        hash(style)
    );
    Page { html, policy }
}

/// The catalogue as HTML: it is there without any script, because the `type` of every error leads to it.
fn errors() -> String {
    let entry = |code: &Code| {
        format!(
            "<dt id=\"{name}\"><a href=\"#{name}\"><code>{name}</code></a> <b>{status}</b> {title}</dt><dd>{meaning}</dd>\n",
            name = code.name(),
            status = code.status().as_u16(),
            title = escaped(code.title()),
            meaning = escaped(code.meaning()),
        )
    };
    Code::ALL.iter().map(entry).collect()
}

fn hash(content: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(content.as_bytes())))
}

/// A text in HTML.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|symbol| match symbol {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_anchor() {
        let page = page("A & <b>");
        for code in Code::ALL {
            assert_eq!(page.html.matches(&format!("id=\"{}\"", code.name())).count(), 1, "{code:?}");
        }
        assert!(page.html.contains("A &amp; &lt;b&gt;") && !page.html.contains("{{"));
    }

    #[test]
    fn the_policy_admits_what_stands_in_the_page_and_nothing_else() {
        let page = page("x");
        let between = |open: &str, close: &str| {
            let start = page.html.find(open).unwrap() + open.len();
            page.html[start..start + page.html[start..].find(close).unwrap()].to_owned()
        };
        assert!(page.policy.contains(&hash(&between("<style>", "</style>"))));
        assert!(page.policy.contains(&hash(&between("<script>", "</script>"))));
        assert_eq!((page.html.matches("<script").count(), page.html.matches("<style").count()), (1, 1));
        for outside in ["http://", "https://", "style=\"", "onclick", "innerHTML"] {
            assert!(!page.html.contains(outside), "{outside}");
        }
        assert!(!page.policy.contains("unsafe"));
    }
}
