//! Parts of pages: tables, links between pages of a list, badges, definition lists.

use maud::{Markup, html};

/// A column of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Its head.
    pub name: String,
    /// The link of its head, which sorts the list by it; `None` if the list cannot be sorted by it.
    pub sort: Option<String>,
    /// The current sort order by this column.
    pub order: Option<Order>,
    /// Whether it holds numbers, which are aligned to the right.
    pub is_number: bool,
}

/// A sort order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

impl Column {
    /// A column of words.
    pub fn words(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// A column of numbers.
    pub fn numbers(name: &str) -> Self {
        Self { is_number: true, ..Self::words(name) }
    }

    /// Adds the sort link and order.
    #[must_use]
    pub fn sorted(mut self, sort: String, order: Option<Order>) -> Self {
        (self.sort, self.order) = (Some(sort), order);
        self
    }
}

/// A table with a caption for screen readers. Rows have one cell per column.
pub fn table(caption: &str, columns: &[Column], rows: &[Vec<Markup>]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label=(caption) {
            table {
                caption.quiet { (caption) }
                thead {
                    tr {
                        @for column in columns {
                            th scope="col" class=[column.is_number.then_some("number")] aria-sort=[column.order.map(Order::name)] {
                                @match &column.sort {
                                    Some(sort) => a href=(sort) {
                                        (column.name)
                                        @match column.order {
                                            Some(Order::Ascending) => span aria-hidden="true" { " ▲" },
                                            Some(Order::Descending) => span aria-hidden="true" { " ▼" },
                                            None => {},
                                        }
                                    },
                                    None => (column.name),
                                }
                            }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (cell, column) in row.iter().zip(columns) {
                                td class=[column.is_number.then_some("number")] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Self::Ascending => "ascending",
            Self::Descending => "descending",
        }
    }
}

/// A list of names and values.
pub fn facts<N: AsRef<str>>(facts: &[(N, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts { div { dt { (name.as_ref()) } dd { (value) } } }
        }
    }
}

/// Links to the first and the next page of a list.
pub fn pager(first: Option<&str>, next: Option<&str>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav.pager aria-label="Pages of the list" {
                @if let Some(first) = first { a.button href=(first) { "First page" } }
                @if let Some(next) = next { a.button href=(next) rel="next" { "Next page" } }
            }
        }
    }
}

/// The state that a badge's colour shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// In progress.
    Busy,
    /// Success.
    Good,
    /// Failure.
    Bad,
    /// Inactive.
    Quiet,
}

/// A coloured word.
pub fn badge(tone: Tone, word: &str) -> Markup {
    let class = match tone {
        Tone::Busy => "busy",
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Quiet => "calm",
    };
    html! { span.badge.(class) { (word) } }
}

/// A frame with a heading, which may be empty.
pub fn card(heading: &str, content: &Markup) -> Markup {
    html! { section.card { @if !heading.is_empty() { h2 { (heading) } } (content) } }
}

/// Text to be copied, such as a command.
pub fn code(name: &str, text: &str) -> Markup {
    html! { pre.code tabindex="0" aria-label=(name) { code { (text) } } }
}

/// A note to the reader about something missing or wrong.
pub fn note(text: &str) -> Markup {
    html! { p.note { (text) } }
}

/// An error message.
pub fn problem(text: &str) -> Markup {
    html! { p.problem role="alert" { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_how_it_is_sorted_and_escapes_its_cells() {
        let columns = [
            Column::words("Name").sorted("?sort=name".into(), Some(Order::Descending)),
            Column::numbers("<Loss>"),
        ];
        let row = vec![html! { "<a>" }, html! { "1" }];
        let html = table("Jobs & more", &columns, &[row]).into_string();
        assert!(html.contains("<caption class=\"quiet\">Jobs &amp; more</caption>"), "{html}");
        assert!(
            html.contains("<th scope=\"col\" aria-sort=\"descending\"><a href=\"?sort=name\">Name"),
            "{html}"
        );
        assert!(html.contains("<th scope=\"col\" class=\"number\">&lt;Loss&gt;</th>"), "{html}");
        assert!(html.contains("<td>&lt;a&gt;</td><td class=\"number\">1</td>"), "{html}");
    }

    #[test]
    fn pages_of_a_list_are_linked_only_where_there_are_some() {
        assert_eq!(pager(None, None).into_string(), "");
        let html = pager(Some("/a"), Some("/b")).into_string();
        assert!(html.contains("href=\"/a\"") && html.contains("href=\"/b\""));
    }
}
