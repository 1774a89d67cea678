//! The table of endpoints.

use kokanee_pages::parts::{Column, card, note, pager, table};
use maud::{Markup, html};

use super::visit::{Problem, Shown, Visit, status_badge, time};
use crate::paging::{ListQuery, SortBy};

/// The number of rows per page.
const ROWS: usize = 50;
const REFRESH_SECONDS: u32 = 3;

pub(super) fn show(visit: &Visit) -> Shown {
    let words = visit.parameter("q").unwrap_or_default();
    let token = visit.parameter("after").map(str::to_owned);
    let is_first = token.is_none();
    let page = visit.control().endpoints.list(&ListQuery {
        region: visit.region.clone(),
        name_contains: None,
        words: words.split_whitespace().map(str::to_owned).collect(),
        status: None,
        created_after_ms: None,
        created_before_ms: None,
        modified_after_ms: None,
        modified_before_ms: None,
        sort_by: SortBy::CreationTime,
        descending: true,
        limit: ROWS,
        token,
    })?;
    let Some(page) = page else {
        return Err(Problem::bad("Unknown page of the list: go back to the first page."));
    };
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    for listed in &page.rows {
        let endpoint = visit.control().endpoints.named(&visit.region, &listed.name)?;
        let shown =
            endpoint.as_ref().and_then(|found| found.state.serving.as_ref().or(found.state.pending.as_ref()));
        let (config, instances) = shown.map_or((String::new(), 0), |deployment| {
            (
                deployment.config_name.clone(),
                deployment.variants.iter().map(|variant| variant.instances).sum(),
            )
        });
        rows.push(vec![
            html! { a.name href=(visit.link(&["endpoints", &listed.name], &[])) { (listed.name) } },
            status_badge(&listed.status),
            html! { (config) },
            html! { (instances) },
            time(listed.created_ms),
        ]);
    }
    let columns = [
        Column::words("Name"),
        Column::words("Status"),
        Column::words("Configuration"),
        Column::numbers("Instances"),
        Column::words("Created (UTC)"),
    ];
    let link = |after: &str| visit.link(&["endpoints"], &[("q", words), ("after", after)]);
    let first = (!is_first).then(|| link(""));
    let next = page.next.as_deref().map(link);
    let body = html! {
        h1 { "Endpoints" }
        form.tools method="get" action=(visit.link(&["endpoints"], &[])) data-chooses="" role="search" {
            label { "Name or status" input #q type="search" name="q" value=(words); }
            button { "Search" }
        }
        div #list data-live="" {
            (card("", &html! {
                @if rows.is_empty() {
                    (note(if words.is_empty() { "No endpoints yet. Create one with create_endpoint." } else { "No endpoints match." }))
                } @else {
                    (table("Endpoints", &columns, &rows))
                }
                (pager(first.as_deref(), next.as_deref()))
            }))
        }
    };
    let mut page = visit.page("endpoints", "Endpoints", &[], body);
    page.refresh_seconds = Some(REFRESH_SECONDS);
    Ok(page)
}
