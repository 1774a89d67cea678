//! The layout of a page, with its style sheet and script.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The style sheet.
pub const STYLE: &str = include_str!("../assets/style.css");
/// The script: it reloads pages, shows values under the pointer, and submits forms whose fields change. Pages work without it.
pub const SCRIPT: &str = include_str!("../assets/script.js");

/// The addresses of the style sheet and script, and the head of every page.
#[derive(Clone, Debug, Default)]
pub struct Site<'a> {
    /// The name in the head.
    pub name: &'a str,
    /// The address that the name links to.
    pub home: &'a str,
    /// Address of the style sheet.
    pub style: &'a str,
    /// Address of the script.
    pub script: &'a str,
    /// Addresses and names of the sections.
    pub sections: &'a [(&'a str, &'a str)],
}

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The title of the window.
    pub title: String,
    /// The address of the section that it belongs to.
    pub section: String,
    /// Addresses and names of the pages above it.
    pub above: Vec<(String, String)>,
    /// Seconds after which the script reloads the page; `None` for a page that does not change.
    pub refresh_seconds: Option<u32>,
    /// Everything below the head. Parts with the attributes `id` and `data-live` are replaced when the page is reloaded.
    pub body: Markup,
}

impl Site<'_> {
    /// The whole document.
    pub fn page(&self, page: &Page) -> Markup {
        let head = html! {
            link rel="icon" href="data:,";
            link rel="stylesheet" href=(self.style);
            script src=(self.script) defer {}
        };
        let body = html! {
            body data-refresh=[page.refresh_seconds] {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href=(self.home) { (MARK) span { (self.name) } }
                    nav aria-label="Sections" {
                        @for (address, name) in self.sections {
                            a href=(address) aria-current=[(page.section == *address).then_some("page")] { (name) }
                        }
                    }
                }
                main #main {
                    @if !page.above.is_empty() {
                        nav.crumbs aria-label="Pages above" {
                            @for (address, name) in &page.above { a href=(address) { (name) } span aria-hidden="true" { "/" } }
                        }
                    }
                    (page.body)
                }
            }
        };
        document(&format!("{} – {}", page.title, self.name), &head, &body)
    }
}

/// A self-contained page for a file: it includes its style sheet, and has no script. The title is its first heading.
pub fn standalone(title: &str, content: &Markup) -> Markup {
    let body = html! { body { main #main { h1 { (title) } (content) } } };
    document(title, &html! { style { (PreEscaped(STYLE)) } }, &body)
}

/// A whole document; `body` is the body element, and `head` the content of the head element besides the title.
fn document(title: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                (head)
            }
            (body)
        }
    }
}

/// The logo beside the name: a fish.
const MARK: PreEscaped<&str> = PreEscaped(
    r#"<svg class="mark" viewBox="0 0 32 20" width="29" height="18" aria-hidden="true"><path d="M1 10C6 2.5 15 1 23 8L31 3v14l-8-5C15 19 6 17.5 1 10z"/><circle cx="8" cy="8.6" r="1.5"/></svg>"#,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_the_section_is_marked() {
        let site =
            Site { name: "K", home: "/", style: "/s", script: "/j", sections: &[("/a", "A"), ("/b", "B")] };
        let page = Page {
            title: "<b>".to_owned(),
            section: "/b".to_owned(),
            above: vec![("/x?\"".to_owned(), "<i>".to_owned())],
            refresh_seconds: Some(2),
            body: html! { p { "<script>" } },
        };
        let html = site.page(&page).into_string();
        for wanted in [
            "<title>&lt;b&gt; – K</title>",
            "href=\"/b\" aria-current=\"page\"",
            "<a href=\"/a\">A</a>",
            "href=\"/x?&quot;\">&lt;i&gt;</a>",
            "data-refresh=\"2\"",
            "<p>&lt;script&gt;</p>",
        ] {
            assert!(html.contains(wanted), "{wanted} not in {html}");
        }
        assert_eq!(html.matches("<script").count(), 1);
    }

    #[test]
    fn the_script_stays_small_and_asks_nobody_else() {
        assert!(SCRIPT.lines().count() < 200);
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("@import"));
        }
    }
}
