use std::fs;
use std::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::store::{Store, now_ms};

const REGION: &str = "us-east-1";
const GROUP: &str = "/aws/sagemaker/TrainingJobs";

struct Place {
    folder: tempfile::TempDir,
    logs: Logs,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let logs = Logs::new(Arc::new(Store::open(folder.path()).unwrap()));
    Place { folder, logs }
}

impl Place {
    /// A stream of lines with these times; each line contains its stream and number.
    fn stream(&self, name: &str, times: &[i64]) -> LogStream {
        self.padded_stream(name, times, 0)
    }

    /// The same with so many spaces at the end of each line, so that a file is longer than one read.
    fn padded_stream(&self, name: &str, times: &[i64], padding: usize) -> LogStream {
        self.logs.add_stream(REGION, GROUP, name, &format!("{}.txt", name.replace('/', "-"))).unwrap();
        let stream = self.logs.stream(REGION, GROUP, name).unwrap();
        let lines = times
            .iter()
            .enumerate()
            .map(|(number, time)| format!("{time}\t{name} {number}{:padding$}\n", ""));
        fs::write(&stream.path, lines.collect::<String>()).unwrap();
        stream
    }

    fn search(&self, range: Range<i64>, pattern: &str, limit: usize) -> SearchQuery {
        SearchQuery {
            region: REGION.to_owned(),
            group: GROUP.to_owned(),
            which: Which::Prefix(String::new()),
            start_ms: Some(range.start),
            end_ms: Some(range.end),
            pattern: Pattern::parse(pattern).unwrap(),
            limit,
            token: None,
        }
    }

    fn tail(&self, limit: usize) -> TailQuery {
        let which = Which::Prefix(String::new());
        TailQuery { region: REGION.to_owned(), group: GROUP.to_owned(), which, limit, before: None }
    }

    /// Texts of all pages.
    fn pages(&self, mut query: SearchQuery) -> Vec<String> {
        let mut found = Vec::new();
        let mut ids = Vec::new();
        loop {
            let page = self.logs.search(&query).unwrap();
            assert!(page.events.len() <= query.limit);
            ids.extend(page.events.iter().map(Found::id));
            found.extend(page.events.into_iter().map(|event| event.line.text.trim_end().to_owned()));
            match page.next {
                Some(next) => query.token = Some(next),
                None => break,
            }
        }
        assert!(ids.is_sorted_by(|first, second| first < second), "{ids:?}");
        found
    }
}

fn texts(page: &EventsPage) -> Vec<&str> {
    page.lines.iter().map(|line| line.text.trim_end()).collect()
}

fn found(events: &[Found]) -> Vec<&str> {
    events.iter().map(|event| event.line.text.trim_end()).collect()
}

fn query(begin: Begin, limit: usize) -> EventsQuery {
    EventsQuery { start_ms: None, end_ms: None, begin, limit }
}

#[test]
fn pages_end_with_the_same_token() {
    let place = place();
    let stream = place.stream("a", &[10, 20, 20, 30]);
    let first = stream.events(&query(Begin::Head, 3)).unwrap();
    assert_eq!(texts(&first), ["a 0", "a 1", "a 2"]);
    let second = stream.events(&query(Begin::Token(first.forward.clone()), 3)).unwrap();
    assert_eq!(texts(&second), ["a 3"]);
    let third = stream.events(&query(Begin::Token(second.forward.clone()), 3)).unwrap();
    assert_eq!((texts(&third).len(), &third.forward), (0, &second.forward));
    // A line that arrives later is on the next page.
    let mut lines = fs::read_to_string(&stream.path).unwrap();
    lines.push_str("31\tlate\n32\thalf");
    fs::write(&stream.path, lines).unwrap();
    let fourth = stream.events(&query(Begin::Token(third.forward), 3)).unwrap();
    assert_eq!(texts(&fourth), ["late"]);

    let last = stream.events(&query(Begin::Tail, 2)).unwrap();
    assert_eq!(texts(&last), ["a 3", "late"]);
    let before = stream.events(&query(Begin::Token(last.backward), 9)).unwrap();
    assert_eq!(texts(&before), ["a 0", "a 1", "a 2"]);
    let none = stream.events(&query(Begin::Token(before.backward.clone()), 9)).unwrap();
    assert_eq!((texts(&none).len(), &none.backward), (0, &before.backward));
    // From there it continues again.
    let again = stream.events(&query(Begin::Token(none.forward), 1)).unwrap();
    assert_eq!(texts(&again), ["a 0"]);
}

#[test]
fn times_bound_a_page() {
    let place = place();
    let stream = place.stream("a", &[10, 20, 20, 30]);
    let between = |begin, start_ms, end_ms| EventsQuery { start_ms, end_ms, begin, limit: 9 };
    let page = stream.events(&between(Begin::Head, Some(20), Some(30))).unwrap();
    assert_eq!(texts(&page), ["a 1", "a 2"]);
    let page = stream.events(&between(Begin::Tail, Some(11), Some(20))).unwrap();
    assert_eq!(texts(&page), [""; 0]);
    let page = stream.events(&between(Begin::Tail, None, Some(31))).unwrap();
    assert_eq!(texts(&page).len(), 4);
    // A token does not go beyond the time limits.
    let page = stream.events(&between(Begin::Token(page.backward), Some(20), None)).unwrap();
    assert_eq!(texts(&page), [""; 0]);
    let page = stream.events(&between(Begin::Token(page.forward), Some(20), Some(30))).unwrap();
    assert_eq!(texts(&page), ["a 1", "a 2"]);
}

#[test]
fn tokens_of_others_are_refused() {
    let place = place();
    let stream = place.stream("a", &[10, 20]);
    for token in ["", "f", "f/x", "g/0", "f/3", "b/999", "f/+0", "f/99999999999999999999999"] {
        let refused = stream.events(&query(Begin::Token(token.to_owned()), 9));
        assert!(matches!(refused, Err(LogError::Token)), "{token}: {refused:?}");
    }
    for token in ["x".to_owned(), crate::tokens::write(&["10", "1", "3"])] {
        let refused = place.logs.search(&SearchQuery { token: Some(token), ..place.search(0..99, "", 9) });
        assert!(matches!(refused, Err(LogError::Token)), "{refused:?}");
    }
}

#[test]
fn a_stream_without_its_file_is_empty() {
    let place = place();
    let stream = place.stream("a", &[10]);
    fs::remove_file(&stream.path).unwrap();
    let page = stream.events(&query(Begin::Head, 9)).unwrap();
    assert_eq!(page.lines, []);
    let page = stream.events(&query(Begin::Token(page.forward), 9)).unwrap();
    assert_eq!(page.lines, []);
    assert_eq!(place.pages(place.search(0..99, "", 9)), [""; 0]);
}

#[test]
fn streams_are_listed_by_name_and_by_time() {
    let place = place();
    for (name, times) in [("b/1", &[50][..]), ("a/2", &[]), ("a/1", &[10, 90]), ("a_", &[60])] {
        place.stream(name, times);
    }
    let list = |prefix: &str, order_by, descending| {
        let mut names = Vec::new();
        let mut query = StreamsQuery {
            region: REGION.to_owned(),
            group: GROUP.to_owned(),
            prefix: prefix.to_owned(),
            order_by,
            descending,
            limit: 1,
            token: None,
        };
        loop {
            let (streams, next) = place.logs.streams(&query).unwrap();
            names.extend(streams.into_iter().map(|described| described.stream.name));
            match next {
                Some(next) => query.token = Some(next),
                None => return names,
            }
        }
    };
    assert_eq!(list("", OrderBy::Name, false), ["a/1", "a/2", "a_", "b/1"]);
    assert_eq!(list("a/", OrderBy::Name, true), ["a/2", "a/1"]);
    assert_eq!(list("", OrderBy::LastEvent, true), ["a/1", "a_", "b/1", "a/2"]);
    assert_eq!(list("", OrderBy::LastEvent, false), ["a/2", "b/1", "a_", "a/1"]);
    let query = StreamsQuery { region: REGION.to_owned(), group: "x".to_owned(), ..StreamsQuery::default() };
    assert!(matches!(place.logs.streams(&query), Err(LogError::NoGroup)));
    assert!(matches!(place.logs.stream(REGION, GROUP, "x"), Err(LogError::NoStream)));
}

#[test]
fn groups_are_listed() {
    let place = place();
    for group in ["/aws/a", "/aws/b", "c"] {
        place.logs.add_stream(REGION, group, "s", "s.txt").unwrap();
    }
    fs::write(place.folder.path().join("s.txt"), "1\ta\n").unwrap();
    place.logs.add_stream("eu-west-1", "/aws/c", "s", "s.txt").unwrap();
    let list = |query: GroupsQuery| {
        let (groups, next) =
            place.logs.groups(&GroupsQuery { region: REGION.to_owned(), limit: 2, ..query }).unwrap();
        assert!(groups.iter().all(|group| group.stored_bytes == 4));
        (groups.into_iter().map(|group| group.name).collect::<Vec<_>>(), next)
    };
    let (names, next) = list(GroupsQuery::default());
    assert_eq!(names, ["/aws/a", "/aws/b"]);
    assert_eq!(list(GroupsQuery { token: next, ..GroupsQuery::default() }), (vec!["c".to_owned()], None));
    let prefix = GroupsQuery { prefix: "/aws/".to_owned(), ..GroupsQuery::default() };
    assert_eq!(list(prefix), (vec!["/aws/a".to_owned(), "/aws/b".to_owned()], None));
    let part = GroupsQuery { part: "s/b".to_owned(), ..GroupsQuery::default() };
    assert_eq!(list(part), (vec!["/aws/b".to_owned()], None));
    let names = GroupsQuery { names: vec!["c".to_owned(), "d".to_owned()], ..GroupsQuery::default() };
    assert_eq!(list(names), (vec!["c".to_owned()], None));
}

#[test]
fn a_log_outlives_its_folder_until_it_is_removed() {
    let place = place();
    let job = place.folder.path().join("jobs/a");
    fs::create_dir_all(&job).unwrap();
    place.logs.add_stream(REGION, GROUP, "a/1", "jobs/a/log").unwrap();
    place.logs.add_stream(REGION, GROUP, "a/1", "elsewhere").unwrap();
    fs::write(job.join("log"), "1\tfirst\n").unwrap();
    place.logs.keep("jobs/a/log").unwrap();
    assert!(!job.exists());
    let stream = place.logs.stream(REGION, GROUP, "a/1").unwrap();
    assert_eq!(texts(&stream.events(&query(Begin::Head, 9)).unwrap()), ["first"]);
    // Another job with the same name has its own stream.
    place.logs.add_stream(REGION, GROUP, "a/2", "jobs/a/log").unwrap();
    assert_eq!(
        place.logs.stream(REGION, GROUP, "a/2").unwrap().events(&query(Begin::Head, 9)).unwrap().lines,
        []
    );
    place.logs.remove_stream(REGION, GROUP, "a/1").unwrap();
    assert!(!stream.path.exists());
    place.logs.remove_group(REGION, GROUP).unwrap();
    assert!(matches!(place.logs.stream(REGION, GROUP, "a/2"), Err(LogError::NoGroup)));
    assert!(matches!(place.logs.remove_group(REGION, GROUP), Err(LogError::NoGroup)));
}

#[test]
fn users_write_streams_of_their_own() {
    let place = place();
    let logs = &place.logs;
    assert!(matches!(logs.create_stream(REGION, "/mine", "a"), Err(LogError::NoGroup)));
    logs.create_group(REGION, "/mine").unwrap();
    assert!(matches!(logs.create_group(REGION, "/mine"), Err(LogError::Exists("log group"))));
    logs.create_stream(REGION, "/mine", "a").unwrap();
    assert!(matches!(logs.create_stream(REGION, "/mine", "a"), Err(LogError::Exists("log stream"))));
    logs.retain(REGION, "/mine", Some(7)).unwrap();
    let all = GroupsQuery { region: REGION.to_owned(), limit: 9, ..GroupsQuery::default() };
    assert_eq!(logs.groups(&all).unwrap().0[0].retention_days, Some(7));

    let now = now_ms();
    let put = |events: &[(i64, &str)]| logs.put(REGION, "/mine", "a", events).unwrap();
    assert_eq!(put(&[(now, "first\nline\\n"), (now + 5, "second")]), Rejected::default());
    // A file left by a killed server in the middle of a call.
    let stream = logs.stream(REGION, "/mine", "a").unwrap();
    let mut lines = fs::read(&stream.path).unwrap();
    lines.extend(b"17");
    fs::write(&stream.path, lines).unwrap();
    let day = 86_400_000;
    let rejected = put(&[(now - 15 * day, "old"), (now + 4, "late"), (now + 5, "third"), (now + day, "new")]);
    assert_eq!(rejected, Rejected { too_old_before: 2, too_new_from: Some(3) });
    let page = stream.events(&query(Begin::Head, 9)).unwrap();
    assert_eq!(texts(&page), ["first\nline\\n", "second", "17", "third"]);
    let search = SearchQuery { group: "/mine".to_owned(), ..place.search(now..now + day, "line", 9) };
    assert_eq!(place.pages(search), ["first\nline\\n"]);

    place.stream("job", &[10]);
    let refused = logs.put(REGION, GROUP, "job", &[(now, "a")]);
    assert!(matches!(refused, Err(LogError::Foreign(_))), "{refused:?}");
    logs.remove_stream(REGION, "/mine", "a").unwrap();
    assert!(!stream.path.exists());
}

#[test]
fn the_latest_events_of_all_streams_come_first() {
    let place = place();
    place.stream("a", &[10, 20, 40]);
    let b = place.stream("b", &[20, 30]);
    let first = place.logs.tail(&place.tail(2)).unwrap();
    assert_eq!(found(&first.events), ["b 1", "a 2"]);
    let second = place.logs.tail(&TailQuery { before: first.earlier.clone(), ..place.tail(9) }).unwrap();
    assert_eq!(found(&second.events), ["a 0", "a 1", "b 0"], "at one time the earlier stream comes first");
    assert_eq!(second.earlier, None);
    // A search after a page finds the lines that follow it, including those that arrived meanwhile.
    fs::write(&b.path, fs::read_to_string(&b.path).unwrap() + "50\tlate\nhalf\n").unwrap();
    let on = place.logs.search(&SearchQuery { token: second.later, ..place.search(0..99, "", 9) }).unwrap();
    assert_eq!(found(&on.events), ["b 1", "a 2", "late", "half"]);
    // A line without a time belongs to the line before it.
    let last = place.logs.tail(&place.tail(1)).unwrap();
    assert_eq!((found(&last.events), last.events[0].line.at_ms), (vec!["half"], 50));

    let one = TailQuery { which: Which::Names(vec!["a".to_owned()]), ..place.tail(9) };
    assert_eq!(found(&place.logs.tail(&one).unwrap().events), ["a 0", "a 1", "a 2"]);
    let none = TailQuery { which: Which::Prefix("c".to_owned()), ..place.tail(9) };
    assert_eq!(place.logs.tail(&none).unwrap(), TailPage::default());
    let within = crate::tokens::write(&["10", &b.id.to_string(), "3"]);
    for token in ["x".to_owned(), within] {
        let refused = place.logs.tail(&TailQuery { before: Some(token), ..place.tail(9) });
        assert!(matches!(refused, Err(LogError::Token)), "{refused:?}");
    }
}

#[test]
fn a_page_of_the_latest_events_is_bounded_in_bytes_and_leaves_none_out() {
    let place = place();
    let names = ["a", "b"];
    for name in names {
        let stream = place.stream(name, &[]);
        let line = |number: i64| format!("{}\t{name}{number}{}\n", number * 10, "x".repeat(200_000));
        fs::write(&stream.path, (1..9).map(line).collect::<String>()).unwrap();
    }
    let mut query = place.tail(99);
    let mut pages = Vec::new();
    loop {
        let page = place.logs.tail(&query).unwrap();
        assert!((1..=5).contains(&page.events.len()), "{}", page.events.len());
        pages.push(page.events.iter().map(|event| event.line.text[..2].to_owned()).collect::<Vec<_>>());
        query.before = page.earlier;
        if query.before.is_none() {
            break;
        }
    }
    pages.reverse();
    let want = (1..9).flat_map(|number| names.map(|name| format!("{name}{number}")));
    assert_eq!(pages.concat(), want.collect::<Vec<_>>());
}

#[test]
fn a_search_that_finds_nothing_ends_its_page() {
    let place = place();
    let stream = place.stream("a", &[]);
    let line = format!("10\t{}\n", "x".repeat(200_000));
    fs::write(&stream.path, line.repeat(100)).unwrap();
    let page = place.logs.search(&place.search(0..99, "needle", 9)).unwrap();
    assert_eq!(page.events, []);
    assert!(page.next.is_some(), "16 MiB were looked at, and there are 20");
    assert_eq!(place.pages(place.search(0..99, "needle", 9)), [""; 0]);
    let found = place.logs.search(&place.search(0..99, "", 9_999)).unwrap();
    assert_eq!(found.events.len(), 6, "a page has 1 MiB");
}

fn times() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0..5_i64, 0..60).prop_map(|steps| {
        let mut at = 1;
        let mut times = Vec::new();
        for step in steps {
            at += step * step;
            times.push(at);
        }
        times
    })
}

fn padding() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![0, 500, 5000])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pages_of_any_size_have_every_line_once(times in times(), limit in 1..20_usize, start in 0..200_i64, padding in padding()) {
        let place = place();
        let stream = place.padded_stream("a", &times, padding);
        let want: Vec<String> = (0..times.len()).filter(|&number| times[number] >= start).map(|number| format!("a {number}")).collect();
        let all = |begin: Begin, is_forward: bool| {
            let mut begin = begin;
            let mut pages = Vec::new();
            loop {
                let query = EventsQuery { start_ms: Some(start), end_ms: None, begin, limit };
                let page = stream.events(&query).unwrap();
                let token = if is_forward { page.forward.clone() } else { page.backward.clone() };
                if page.lines.is_empty() {
                    break;
                }
                pages.push(texts(&page).into_iter().map(str::to_owned).collect::<Vec<_>>());
                begin = Begin::Token(token);
            }
            pages
        };
        prop_assert_eq!(all(Begin::Head, true).concat(), want.clone());
        let mut back = all(Begin::Tail, false);
        back.reverse();
        prop_assert_eq!(back.concat(), want);
    }

    #[test]
    fn searches_and_tails_have_every_event_once_in_order(streams in prop::collection::vec(times(), 1..6), limit in 1..30_usize, start in 0..200_i64, padding in padding()) {
        let place = place();
        let end = start + 150;
        let mut want = Vec::new();
        for (index, times) in streams.iter().enumerate() {
            let name = format!("s{index}");
            let stream = place.padded_stream(&name, times, padding);
            let lines = times.iter().enumerate().filter(|(_, time)| (start..=end).contains(time));
            want.extend(lines.map(|(number, time)| (*time, stream.id, number, format!("{name} {number}"))));
        }
        want.sort();
        let all: Vec<String> = want.into_iter().map(|(.., text)| text).collect();
        prop_assert_eq!(place.pages(place.search(start..end, "", limit)), all.clone());
        let mut query = place.tail(limit);
        let mut pages = Vec::new();
        loop {
            let page = place.logs.tail(&query).unwrap();
            let in_time = |found: &&Found| (start..=end).contains(&found.line.at_ms);
            let texts = page.events.iter().filter(in_time).map(|event| event.line.text.trim_end().to_owned());
            pages.push(texts.collect::<Vec<_>>());
            query.before = page.earlier;
            if query.before.is_none() {
                break;
            }
        }
        pages.reverse();
        prop_assert_eq!(pages.concat(), all.clone());
        let some: Vec<String> = all.into_iter().filter(|text| text.contains('1') && !text.contains('2')).collect();
        prop_assert_eq!(place.pages(place.search(start..end, "1 -2", limit)), some);
    }
}
