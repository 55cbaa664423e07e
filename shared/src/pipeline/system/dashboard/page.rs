//! The page of usage: one file without any address outside; its charts are drawn by a script of ours.

use crate::openapi::{Page, assemble};

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(include_str!("charts.js"), "\n", include_str!("page.js"));

/// The page of an API of this name. What the caller may see of its usage it reads itself, with the credentials that are entered.
pub(super) fn page(name: &str) -> Page {
    assemble(HTML, name, STYLE, SCRIPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_needs_nothing_from_outside_and_admits_nothing_else() {
        let page = page("A & <b>");
        assert!(page.html.contains("A &amp; &lt;b&gt;: usage") && !page.html.contains("{{"));
        assert_eq!((page.html.matches("<script").count(), page.html.matches("</script").count()), (1, 1));
        for outside in ["src=", "href=\"http", "style=\"", "onclick", "innerHTML =", "eval("] {
            assert!(!page.html.contains(outside), "{outside}");
        }
        assert!(page.policy.starts_with("default-src 'none'; script-src 'sha256-") && !page.policy.contains("unsafe"));
    }
}
