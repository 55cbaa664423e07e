//! The documentation page: one file that loads nothing. Its style and its script are inline and admitted by their hashes, so no
//! content that the page shows can ever run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::http::problem::Code;

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A page and its content security policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The HTML.
    pub html: String,
    /// The value of `Content-Security-Policy`.
    pub policy: String,
}

/// The page of an API of this name. It fetches the document itself, with the credentials that the reader enters.
pub fn page(name: &str) -> Page {
    assemble(&HTML.replace("{{errors}}", &errors()), name, STYLE, SCRIPT)
}

/// A page from HTML with placeholders for the name of the API, one style and one script, and the policy that admits only these.
pub fn assemble(html: &str, name: &str, style: &str, script: &str) -> Page {
    // The name is put in first and never read as a placeholder: it is the only part that is not ours.
    let html = html.replace("{{name}}", &escaped(name)).replace("{{style}}", style).replace("{{script}}", script);
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash(script),
        hash(style)
    );
    Page { html, policy }
}

/// Catalogue of errors as HTML. It needs no script, because the `type` of every error leads to it.
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

/// A text, escaped for HTML.
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
