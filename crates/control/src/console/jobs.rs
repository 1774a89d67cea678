//! The table of jobs of all kinds.

use kokanee_pages::parts::{Column, Order, card, note, pager, table};
use kokanee_pages::svg::number;
use maud::{Markup, html};

use super::visit::{Problem, Shown, Visit, duration, link, status_badge, time};
use crate::jobs::{JobError, JobKind, Jobs, Status};
use crate::paging::{ListQuery, SortBy};
use crate::store::StoreError;
use crate::tokens;

/// The number of rows per page.
const ROWS: usize = 50;
/// Seconds after which the table is fetched again.
const REFRESH_SECONDS: u32 = 3;
const STATUSES: [Status; 5] =
    [Status::InProgress, Status::Completed, Status::Failed, Status::Stopping, Status::Stopped];

/// A kind of job, as the table shows it.
pub(super) struct Kind {
    /// The word for the kind in addresses.
    pub(super) word: &'static str,
    /// The word for the kind on pages.
    pub(super) noun: &'static str,
    /// The table in the database.
    table: &'static str,
    /// Returns a page of the jobs.
    list: fn(&Visit, &ListQuery) -> Result<Option<Listed>, JobError>,
    /// Returns the details that a row shows beyond the list.
    detail: fn(&Visit, &str) -> Result<Detail, JobError>,
    /// Whether several jobs can be compared.
    is_compared: bool,
}

/// The kinds.
static KINDS: [Kind; 3] = [
    Kind {
        word: "training",
        noun: "training",
        table: "training_jobs",
        list: |visit, query| list(&visit.control().training_jobs, 0, query),
        detail: detail_training,
        is_compared: true,
    },
    Kind {
        word: "transform",
        noun: "transform",
        table: "transform_jobs",
        list: |visit, query| list(&visit.control().transform_jobs, 1, query),
        detail: detail_transform,
        is_compared: false,
    },
    Kind {
        word: "tuning",
        noun: "tuning",
        table: "tuning_jobs",
        list: |visit, query| list(&visit.control().tuning_jobs, 2, query),
        detail: detail_tuning,
        is_compared: false,
    },
];

/// Rows of one kind, and whether there are more.
type Listed = (Vec<Row>, bool);

/// Rows of all kinds, and the token of the next page.
type Merged = (Vec<Row>, Option<String>);

/// A job in a table.
pub(super) struct Row {
    pub(super) kind: &'static Kind,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) created_ms: i64,
    pub(super) ended_ms: Option<i64>,
}

#[derive(Default)]
struct Detail {
    algorithm: String,
    /// The last value of the first metric that does not measure progress.
    metric: Option<(String, f64)>,
}

/// A page of jobs of one kind; `kind` is its index among the kinds.
fn list<K: JobKind>(jobs: &Jobs<K>, kind: usize, query: &ListQuery) -> Result<Option<Listed>, JobError> {
    let Some(page) = jobs.list(query)? else { return Ok(None) };
    let has_more = page.next.is_some();
    let rows = page.rows.into_iter().map(|job| Row {
        kind: &KINDS[kind],
        name: job.name,
        status: job.status,
        created_ms: job.created_ms,
        ended_ms: job.ended_ms,
    });
    Ok(Some((rows.collect(), has_more)))
}

fn detail_training(visit: &Visit, name: &str) -> Result<Detail, JobError> {
    let job = visit.control().training_jobs.find(&visit.region, name)?;
    let is_progress = |name: &str| name.contains("throughput") || name.contains("progress");
    let validates = |name: &str| name.starts_with("validation:") || name.starts_with("test:");
    let metrics = &job.state.metrics;
    let metric = metrics
        .iter()
        .find(|metric| validates(&metric.name))
        .or_else(|| metrics.iter().find(|metric| !is_progress(&metric.name)));
    let image = || {
        let image = job.request.get("AlgorithmSpecification").and_then(|spec| spec["TrainingImage"].as_str());
        image.unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned()
    };
    Ok(Detail {
        algorithm: job.state.algorithm.clone().unwrap_or_else(image),
        metric: metric.map(|metric| (metric.name.clone(), metric.value)),
    })
}

fn detail_transform(visit: &Visit, name: &str) -> Result<Detail, JobError> {
    let job = visit.control().transform_jobs.find(&visit.region, name)?;
    let model = job.request.get("ModelName").and_then(|name| name.as_str()).unwrap_or_default();
    Ok(Detail { algorithm: model.to_owned(), metric: None })
}

fn detail_tuning(visit: &Visit, name: &str) -> Result<Detail, JobError> {
    let job = visit.control().tuning_jobs.find(&visit.region, name)?;
    let first = job.state.definitions.first();
    Ok(Detail {
        algorithm: first.and_then(|definition| definition.algorithm.clone()).unwrap_or_default(),
        metric: first.and_then(|definition| Some((definition.metric.clone(), job.state.best?))),
    })
}

/// Tells a job to stop. Returns the address of its page.
pub(super) fn stop<K: JobKind>(visit: &Visit, jobs: &Jobs<K>, word: &str) -> Result<String, Problem> {
    let name = visit.name(0);
    jobs.stop(&visit.region, name)?;
    Ok(visit.link(&["jobs", word, name], &[]))
}

/// The parameters of the table.
struct Asked<'a> {
    words: &'a str,
    status: &'a str,
    kind: &'a str,
    sort: &'a str,
    order: &'a str,
}

impl<'a> Asked<'a> {
    fn of(visit: &'a Visit) -> Self {
        let text = |name| visit.parameter(name).unwrap_or_default();
        Self {
            words: text("q"),
            status: text("status"),
            kind: text("kind"),
            sort: text("sort"),
            order: text("order"),
        }
    }

    fn query(&self, region: &str) -> ListQuery {
        let sort_by = match self.sort {
            "name" => SortBy::Name,
            "status" => SortBy::Status,
            _ => SortBy::CreationTime,
        };
        ListQuery {
            region: region.to_owned(),
            name_contains: None,
            words: self.words.split_whitespace().map(str::to_owned).collect(),
            status: Some(self.status.to_owned()).filter(|status| !status.is_empty()),
            created_after_ms: None,
            created_before_ms: None,
            modified_after_ms: None,
            modified_before_ms: None,
            sort_by,
            descending: match self.order {
                "up" => false,
                "down" => true,
                _ => sort_by == SortBy::CreationTime,
            },
            limit: ROWS,
            token: None,
        }
    }

    fn link(&self, visit: &Visit, sort: &str, order: &str, after: &str) -> String {
        let parameters = [
            ("q", self.words),
            ("status", self.status),
            ("kind", self.kind),
            ("sort", sort),
            ("order", order),
            ("after", after),
        ];
        visit.link(&["jobs"], &parameters)
    }
}

/// The latest jobs of all kinds.
pub(super) fn latest(visit: &Visit, count: usize) -> Result<Vec<Row>, Problem> {
    let query = ListQuery {
        limit: count,
        ..Asked { words: "", status: "", kind: "", sort: "", order: "" }.query(&visit.region)
    };
    Ok(merged(visit, &query, "", "")?.map(|(rows, _)| rows).unwrap_or_default())
}

/// Merges the lists of all kinds into a page, and returns the token of the next; none if the token is not one of ours. A token holds the
/// position of the last row for each kind.
fn merged(visit: &Visit, query: &ListQuery, kind: &str, after: &str) -> Result<Option<Merged>, Problem> {
    let mut places: [String; KINDS.len()] = Default::default();
    if !after.is_empty() {
        let Some(read) = tokens::read(after) else { return Ok(None) };
        places = read;
    }
    let mut rows: Vec<(usize, Row)> = Vec::new();
    let mut has_more = false;
    for (index, known) in KINDS.iter().enumerate().filter(|(_, known)| kind.is_empty() || known.word == kind)
    {
        let token = Some(places[index].clone()).filter(|token| !token.is_empty());
        let Some((found, more)) = (known.list)(visit, &ListQuery { token, ..query.clone() })? else {
            return Ok(None);
        };
        has_more |= more;
        rows.extend(found.into_iter().map(|row| (index, row)));
    }
    rows.sort_by(|(_, first), (_, second)| {
        let names = || first.name.to_lowercase().cmp(&second.name.to_lowercase());
        let order = match query.sort_by {
            SortBy::Name => names(),
            SortBy::CreationTime => first.created_ms.cmp(&second.created_ms).then_with(names),
            SortBy::Status => first.status.cmp(&second.status).then_with(names),
        };
        if query.descending { order.reverse() } else { order }
    });
    has_more |= rows.len() > query.limit;
    rows.truncate(query.limit);
    for (index, row) in &rows {
        places[*index] = query.token_after(&row.name, &row.status, row.created_ms);
    }
    let next = has_more.then(|| tokens::write(&places.each_ref().map(String::as_str)));
    Ok(Some((rows.into_iter().map(|(_, row)| row).collect(), next)))
}

/// The number of jobs per status.
pub(super) fn counts(visit: &Visit) -> Result<Vec<(String, i64)>, Problem> {
    Ok(visit.control().store.read(|transaction| {
        let mut counts = Vec::new();
        for kind in &KINDS {
            let statement =
                format!("SELECT status, count(*) FROM {} WHERE region = ?1 GROUP BY status", kind.table);
            let mut statement = transaction.prepare_cached(&statement)?;
            let rows = statement.query_map([&visit.region], |row| Ok((row.get(0)?, row.get(1)?)))?;
            for row in rows {
                counts.push(row?);
            }
        }
        Ok::<_, StoreError>(counts)
    })?)
}

/// Other regions with jobs, and the addresses of their pages.
pub(super) fn other_regions(visit: &Visit) -> Vec<(String, String)> {
    let found = visit.control().store.read(|transaction| {
        let statements = KINDS.iter().map(|kind| format!("SELECT DISTINCT region FROM {}", kind.table));
        let statement = statements.collect::<Vec<_>>().join(" UNION ");
        let mut statement = transaction.prepare_cached(&statement)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok::<_, StoreError>(rows.collect::<rusqlite::Result<Vec<String>>>()?)
    });
    let regions = found.unwrap_or_default().into_iter().filter(|region| *region != visit.region);
    regions.map(|region| (region.clone(), link(&visit.state.region, &region, &[], &[]))).collect()
}

pub(super) fn show(visit: &Visit) -> Shown {
    let asked = Asked::of(visit);
    let query = asked.query(&visit.region);
    let after = visit.parameter("after").unwrap_or_default();
    let Some((rows, next)) = merged(visit, &query, asked.kind, after)? else {
        return Err(Problem::bad("Unknown page of the list: go back to the first page."));
    };
    let head = |name: &str, sort: &str, sort_by: SortBy| {
        let order = (query.sort_by == sort_by).then_some(if query.descending {
            Order::Descending
        } else {
            Order::Ascending
        });
        let turned = match order {
            Some(Order::Descending) => "up",
            Some(Order::Ascending) => "down",
            None if sort_by == SortBy::CreationTime => "down",
            None => "up",
        };
        Column::words(name).sorted(asked.link(visit, sort, turned, ""), order)
    };
    let columns = [
        Column::words(""),
        head("Name", "name", SortBy::Name),
        Column::words("Kind"),
        head("Status", "status", SortBy::Status),
        Column::words("Algorithm or model"),
        Column::numbers("Metric"),
        Column::numbers("Duration"),
        head("Created (UTC)", "created", SortBy::CreationTime),
    ];
    let cells = rows.iter().map(|row| cells(visit, row)).collect::<Result<Vec<_>, Problem>>()?;
    let first = (!after.is_empty()).then(|| asked.link(visit, asked.sort, asked.order, ""));
    let next = next.map(|token| asked.link(visit, asked.sort, asked.order, &token));
    let body = html! {
        h1 { "Jobs" }
        (search(visit, &asked))
        form #list data-live="" method="get" action=(visit.link(&["jobs", "compare"], &[])) {
            (card("", &html! {
                @if rows.is_empty() {
                    (note(if asked.words.is_empty() && asked.status.is_empty() { "No jobs yet." } else { "No jobs match." }))
                } @else {
                    (table("Jobs", &columns, &cells))
                }
                div.pager {
                    @if rows.iter().any(|row| row.kind.is_compared) { button { "Compare selected jobs" } }
                    (pager(first.as_deref(), next.as_deref()))
                }
            }))
        }
    };
    let mut page = visit.page("jobs", "Jobs", &[], body);
    page.refresh_seconds = Some(REFRESH_SECONDS);
    Ok(page)
}

fn search(visit: &Visit, asked: &Asked<'_>) -> Markup {
    html! {
        form.tools method="get" action=(visit.link(&["jobs"], &[])) data-chooses="" role="search" {
            label { "Name, status or algorithm" input #q type="search" name="q" value=(asked.words); }
            label { "Status"
                select #status name="status" {
                    option value="" { "any" }
                    @for status in STATUSES.map(Status::as_str) { option selected[status == asked.status] { (status) } }
                }
            }
            label { "Kind"
                select #kind name="kind" {
                    option value="" { "any" }
                    @for kind in &KINDS { option value=(kind.word) selected[kind.word == asked.kind] { (kind.noun) } }
                }
            }
            @if !asked.sort.is_empty() { input type="hidden" name="sort" value=(asked.sort); }
            @if !asked.order.is_empty() { input type="hidden" name="order" value=(asked.order); }
            button { "Search" }
        }
    }
}

fn cells(visit: &Visit, row: &Row) -> Result<Vec<Markup>, Problem> {
    let detail = match (row.kind.detail)(visit, &row.name) {
        // The job has been deleted meanwhile.
        Err(JobError::NotFound) => Detail::default(),
        found => found?,
    };
    Ok(vec![
        html! {
            @if row.kind.is_compared {
                input type="checkbox" name="job" value=(row.name) aria-label={ "Select " (row.name) };
            }
        },
        html! { a.name href=(visit.link(&["jobs", row.kind.word, &row.name], &[])) { (row.name) } },
        html! { (row.kind.noun) },
        status_badge(&row.status),
        html! { (detail.algorithm) },
        html! { @if let Some((name, value)) = &detail.metric { span.faint { (name) } " " (number(*value)) } },
        html! { (duration(row.created_ms, row.ended_ms)) },
        time(row.created_ms),
    ])
}
