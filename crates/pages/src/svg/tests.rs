use super::bars::{self, Bars};
use super::heat_map;
use super::lines::{self, Chart, Series};
use super::parallel::{self, ParallelAxis, ParallelLine};
use super::scatter::{self, Scatter};
use crate::{Attention, Scale};

fn attention(attention: &Attention<'_>, title: &str) -> String {
    heat_map::draw(attention, title).document()
}

fn curve(chart: &Chart) -> String {
    lines::draw(chart).document()
}

/// Walks the document as a strict reader would: every tag closed in order, attributes quoted, no raw `<` or stray `&` in text, no character
/// that XML 1.0 forbids. Returns the texts found.
fn check_well_formed(svg: &str) -> Vec<String> {
    assert!(
        svg.chars().all(|c| matches!(c, '\n' | ' '..) && !matches!(c, '\x7f'..='\u{9f}')),
        "control character"
    );
    let mut open: Vec<&str> = Vec::new();
    let mut texts = Vec::new();
    let mut rest = svg.strip_prefix(r#"<?xml version="1.0" encoding="UTF-8"?>"#).expect("declaration");
    while let Some(start) = rest.find('<') {
        let words = rest[..start].trim();
        for part in words.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|name| part.starts_with(name));
            assert!(known, "stray & in {words:?}");
        }
        if !words.is_empty() {
            texts.push(words.to_owned());
        }
        let end = start + rest[start..].find('>').expect("tag ends");
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "unbalanced quotes in <{tag}>");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().expect("tag name"));
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "left open: {open:?}");
    texts
}

fn chart(points: &[(f64, f64)], log_y: bool) -> Chart {
    Chart {
        title: "Learning".to_owned(),
        x_label: "epoch".to_owned(),
        y_label: "perplexity".to_owned(),
        log_y,
        series: vec![Series {
            name: "<valid & true>".to_owned(),
            points: points.to_vec(),
            ..Series::default()
        }],
        ..Chart::default()
    }
}

#[test]
fn any_token_is_escaped_in_labels_and_tooltips() {
    let tokens = ["<unk>", "\"&'", "\u{1b}[31m", "", "日本", "</svg><script>"];
    let weights = vec![vec![0.125f32; tokens.len()]; tokens.len()];
    let map = Attention::new(&tokens, &tokens, &weights, Scale::One).unwrap();
    let texts = check_well_formed(&attention(&map, "<title> & \"more\""));
    for wanted in [
        "&lt;title&gt; &amp; &quot;more&quot;",
        "&lt;unk&gt; ← &quot;&amp;&#39;: 0.125",
        "␛[31m ← ε: 0.125",
        "日本 ← &lt;/svg&gt;&lt;script&gt;: 0.125",
    ] {
        assert!(texts.iter().any(|text| text == wanted), "{wanted} not in {texts:?}");
    }
}

#[test]
fn a_cell_for_each_weight_with_its_colour() {
    let weights = vec![vec![0.0, 1.0, f32::NAN]];
    let map = Attention::new(&["x"], &["a", "b", "c"], &weights, Scale::One).unwrap();
    let svg = attention(&map, "t");
    check_well_formed(&svg);
    for (source, fill, weight) in
        [("a", "#2c1054", "0.000"), ("b", "#fae948", "1.000"), ("c", "#d14545", "NaN")]
    {
        let cell = format!(r#"fill="{fill}"><title>x ← {source}: {weight}</title></rect>"#);
        assert_eq!(svg.matches(&cell).count(), 1, "{cell}");
    }
}

#[test]
fn empty_and_large_matrices_are_documents_too() {
    let none: [&str; 0] = [];
    check_well_formed(&attention(&Attention::new(&none, &none, &[], Scale::One).unwrap(), ""));
    let many = vec!["token"; 120];
    let weights = vec![vec![0.5; 120]; 120];
    let svg = attention(&Attention::new(&many, &many, &weights, Scale::Largest).unwrap(), "large");
    check_well_formed(&svg);
    assert_eq!(svg.matches("token ← token: 0.500").count(), 120 * 120);
}

#[test]
fn a_line_is_interrupted_where_there_is_no_value() {
    let points = [(1.0, 8.0), (2.0, 4.0), (3.0, f64::NAN), (4.0, 2.0), (5.0, 0.0), (6.0, 1.0), (7.0, 1.0)];
    for (log_y, starts, marks) in [(false, 2, 6), (true, 3, 5)] {
        let svg = curve(&chart(&points, log_y));
        let texts = check_well_formed(&svg);
        let line = svg.lines().find(|line| line.starts_with("<path class=\"k-line\"")).unwrap();
        let path = line.split(" d=\"").nth(1).unwrap();
        assert_eq!(path.matches('M').count(), starts, "{line}");
        assert_eq!(svg.matches("<circle").count(), marks);
        assert!(texts.contains(&"&lt;valid &amp; true&gt;: 8 at 1".to_owned()), "{texts:?}");
        assert_eq!(texts.iter().any(|text| text == "perplexity (log scale)"), log_y);
    }
}

#[test]
fn places_follow_the_axes() {
    let svg = curve(&chart(&[(0.0, 0.0), (5.0, 5.0), (10.0, 10.0)], false));
    let (xs, ys): (Vec<f64>, Vec<f64>) = marks(&svg).into_iter().unzip();
    assert!((xs[1] - xs[0] - 310.0).abs() < 0.2 && (xs[2] - xs[1] - 310.0).abs() < 0.2, "{xs:?}");
    assert!((ys[0] - ys[1] - 170.0).abs() < 0.2 && (ys[1] - ys[2] - 170.0).abs() < 0.2, "{ys:?}");
}

/// Positions of the marks of a drawing: (x, y) in pixels.
fn marks(svg: &str) -> Vec<(f64, f64)> {
    let value = |line: &str, name: &str| -> f64 {
        line.split(name).nth(1).unwrap().split('"').nth(1).unwrap().parse().unwrap()
    };
    let circles = svg.lines().filter(|line| line.starts_with("<circle"));
    circles.map(|line| (value(line, "cx="), value(line, "cy="))).collect()
}

#[test]
fn doubling_is_the_same_distance_on_logarithmic_axes_and_ticks_are_those_given() {
    let points = [(128.0, 1.0), (256.0, 2.0), (512.0, 4.0)];
    let chart = Chart { log_x: true, x_ticks: vec![64.0, 128.0, 512.0], ..chart(&points, true) };
    let svg = curve(&chart);
    let texts = check_well_formed(&svg);
    let written = |tick: &str| texts.iter().any(|text| text == tick);
    assert!(written("128") && written("512") && !written("64") && !written("200"), "{texts:?}");
    assert!(written("epoch (log scale)"));
    let [a, b, c] = marks(&svg).try_into().expect("three marks");
    assert!((b.0 - a.0 - 310.0).abs() < 0.2 && (c.0 - b.0 - 310.0).abs() < 0.2, "{a:?} {b:?} {c:?}");
    assert!(((a.1 - b.1) - (b.1 - c.1)).abs() < 0.2, "{a:?} {b:?} {c:?}");
}

#[test]
fn what_is_expected_is_dashed_unmarked_and_within_the_axes() {
    let mut chart = chart(&[(1.0, 4.0), (2.0, 6.0)], false);
    chart.y_from_zero = true;
    let before = marks(&curve(&chart));
    assert!(!curve(&chart).contains("expected"));
    chart.series[0].expected = vec![(1.0, 5.0), (2.0, 20.0)];
    let svg = curve(&chart);
    assert!(check_well_formed(&svg).iter().any(|text| text == "expected"));
    assert_eq!(svg.matches("<circle").count(), 2);
    assert_eq!(svg.matches(r#"stroke-dasharray="5 4""#).count(), 2, "the line and its piece in the legend");
    // From 0 the two heights are in proportion to the values; the axis then makes room for 20.
    let height = |marks: &[(f64, f64)], which: usize| 392.0 - marks[which].1;
    assert!((height(&before, 0) / height(&before, 1) - 4.0 / 6.0).abs() < 0.01, "{before:?}");
    let after = marks(&svg);
    assert!((height(&after, 1) / 340.0 - 6.0 / 20.0).abs() < 0.01, "{after:?}");
}

#[test]
fn a_chart_without_values_says_so() {
    for points in [&[][..], &[(f64::NAN, 1.0)], &[(1.0, f64::INFINITY)]] {
        let texts = check_well_formed(&curve(&chart(points, false)));
        assert!(texts.iter().any(|text| text == "no values to draw"));
    }
    check_well_formed(&curve(&Chart::default()));
}

#[test]
fn a_line_in_a_page_tells_the_script_its_values_and_brings_no_style() {
    let chart = Chart { has_hover: true, has_legend: false, ..chart(&[(1.0, 2.0), (2.0, 4.0)], false) };
    let drawing = lines::draw(&chart);
    let markup = drawing.inline().into_string();
    assert!(!markup.contains("<style") && !markup.contains(" style="), "{markup}");
    assert!(
        markup.contains("aria-label=\"Learning. perplexity over epoch: &lt;valid &amp; true&gt;.\""),
        "{markup}"
    );
    let values = markup.split("data-hover=\"").nth(1).unwrap().split('"').next().unwrap();
    let values: serde_json::Value = serde_json::from_str(
        &values.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"),
    )
    .unwrap();
    assert_eq!(values["series"][0]["name"], "<valid & true>");
    assert_eq!(values["series"][0]["points"][1][3], "4");
    let place = &values["series"][0]["points"];
    let marks = marks(&drawing.document());
    assert_eq!((place[0][0].as_f64(), place[0][1].as_f64()), (Some(marks[0].0), Some(marks[0].1)));
}

#[test]
fn values_before_smoothing_are_drawn_pale_and_count_for_the_axes() {
    let mut chart = chart(&[(1.0, 1.0), (2.0, 1.0)], false);
    chart.series[0].raw = vec![(1.0, 0.0), (2.0, 10.0)];
    let svg = curve(&chart);
    check_well_formed(&svg);
    assert_eq!(svg.matches("stroke-opacity=\"0.35\"").count(), 1);
    assert!(marks(&svg).iter().all(|(_, y)| *y > 300.0), "1 of 10 is low");
}

#[test]
fn bars_scatter_plots_and_parallel_coordinates_are_documents() {
    let bars = Bars {
        title: "Latency".to_owned(),
        x_label: "ms".to_owned(),
        bars: vec![("<1".to_owned(), 2.0), ("1".to_owned(), 4.0), ("2".to_owned(), f64::NAN)],
        area: (300.0, 100.0),
    };
    let svg = bars::draw(&bars).document();
    let texts = check_well_formed(&svg);
    let height = |name: &str| -> f64 {
        let line = svg.lines().find(|line| line.contains(&format!("<title>{name}:"))).unwrap();
        line.split("height=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
    };
    assert!((height("1") / height("&lt;1") - 2.0).abs() < 0.01 && height("2") == 0.0, "{svg}");
    assert!(texts.contains(&"&lt;1: 2".to_owned()), "{texts:?}");
    check_well_formed(&bars::draw(&Bars { bars: Vec::new(), ..bars }).document());

    let scatter = Scatter {
        title: "Slice".to_owned(),
        x_label: "rate".to_owned(),
        log_x: true,
        log_y: false,
        categories: Vec::new(),
        points: vec![(0.001, 1.0, "a".to_owned()), (0.1, 2.0, "<b>".to_owned()), (0.0, 3.0, "c".to_owned())],
        area: (300.0, 200.0),
    };
    let svg = scatter::draw(&scatter).document();
    let texts = check_well_formed(&svg);
    assert_eq!(marks(&svg).len(), 2, "0 has no place on a logarithmic axis");
    assert!(texts.contains(&"&lt;b&gt;: 2 at 0.1".to_owned()), "{texts:?}");

    let axis = |name: &str, categories: &[&str]| ParallelAxis {
        name: name.to_owned(),
        log: false,
        categories: categories.iter().map(|name| (*name).to_owned()).collect(),
    };
    let line = |values: [Option<f64>; 3], level| ParallelLine {
        name: "<run>".to_owned(),
        values: values.to_vec(),
        level,
    };
    let svg = parallel::draw(
        "Search",
        &[axis("rate", &[]), axis("cell", &["gru", "lstm"]), axis("loss", &[])],
        &[line([Some(1.0), Some(0.0), Some(2.0)], Some(1.0)), line([Some(2.0), None, Some(3.0)], None)],
    )
    .document();
    let texts = check_well_formed(&svg);
    assert!(texts.iter().any(|text| text == "gru") && texts.iter().any(|text| text == "lstm"), "{texts:?}");
    let paths: Vec<&str> = svg.lines().filter(|line| line.starts_with("<path class=\"k-line\"")).collect();
    assert_eq!(paths.len(), 2);
    assert_eq!(
        (paths[0].matches('L').count(), paths[1].matches('L').count()),
        (2, 0),
        "a gap interrupts a line"
    );
}

/// A text of a drawing: its box before rotation, as left, right and baseline, and its rotation, in degrees.
#[derive(Debug)]
struct Written {
    left: f64,
    right: f64,
    y: f64,
    angle: f64,
}

/// The texts with these contents, in their order.
fn written(svg: &str, contents: &[String]) -> Vec<Written> {
    let found = |content: &String| {
        let line = svg.lines().find(|line| line.ends_with(&format!(">{content}</text>")));
        let line = line.unwrap_or_else(|| panic!("no {content} in {svg}"));
        let value =
            |name: &str| line.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap();
        let (x, y) = (value("x").parse::<f64>().unwrap(), value("y").parse().unwrap());
        let width = super::text_width(content, 11.0);
        let right = if value("text-anchor") == "middle" { x + width / 2.0 } else { x };
        let angle = line
            .split("rotate(-")
            .nth(1)
            .map_or(0.0, |turned| turned.split(' ').next().unwrap().parse().unwrap());
        Written { left: right - width, right, y, angle }
    };
    contents.iter().map(found).collect()
}

fn size(svg: &str) -> (f64, f64) {
    let value = |name: &str| svg.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap();
    (value("width").parse().unwrap(), value("height").parse().unwrap())
}

#[track_caller]
fn check_names_of_a_slice(count: usize, length: usize, angle: f64) {
    let names: Vec<String> =
        (0..count).map(|index| format!("{index:02}{}", "x".repeat(length - 2))).collect();
    let chart = Scatter {
        title: "Slice".to_owned(),
        x_label: "kind".to_owned(),
        log_x: false,
        log_y: false,
        categories: names.clone(),
        points: (0..=count).map(|index| (index as f64, 1.0 + index as f64, "run".to_owned())).collect(),
        area: (420.0, 200.0),
    };
    let svg = scatter::draw(&chart).document();
    check_well_formed(&svg);
    let marks = marks(&svg);
    assert_eq!(marks.len(), count, "what is no category has no place");
    let shown: Vec<String> = names.iter().map(|name| crate::label::fit(name, 24)).collect();
    let shown = written(&svg, &shown);
    let (_, height) = size(&svg);
    for (text, (x, _)) in shown.iter().zip(&marks) {
        assert_eq!(text.angle, angle);
        let middle = if angle == 0.0 { f64::midpoint(text.left, text.right) } else { text.right };
        assert!((middle - x).abs() < 5.0, "{text:?} is not at {x}");
        let turned = angle.to_radians();
        let reach = text.right - text.left;
        assert!(text.right - reach * turned.cos() >= 0.0, "{text:?} begins left of the picture");
        assert!(text.y + reach * turned.sin() <= height, "{text:?} ends below the picture");
    }
    for pair in shown.windows(2) {
        let apart = if angle == 0.0 {
            pair[1].left - pair[0].right
        } else {
            // The distance between the two baselines, minus the height of the text.
            (pair[1].right - pair[0].right) * angle.to_radians().sin() - 11.0
        };
        assert!(apart > 0.0, "{pair:?} overlap");
    }
}

#[test]
fn names_of_categories_lie_below_their_points_and_never_over_each_other() {
    check_names_of_a_slice(2, 8, 0.0);
    check_names_of_a_slice(2, 24, 0.0);
    check_names_of_a_slice(1, 60, 0.0);
    check_names_of_a_slice(4, 24, 40.0);
    check_names_of_a_slice(12, 60, 40.0);
    check_names_of_a_slice(30, 60, 90.0);
}

#[test]
fn parallel_axes_have_room_for_their_categories() {
    let names: Vec<String> = (0..30).map(|index| format!("{index:02}-a-long-category-name")).collect();
    let axis = ParallelAxis { name: "kind".to_owned(), log: false, categories: names.clone() };
    let line = ParallelLine { name: "run".to_owned(), values: vec![Some(0.0); 2], level: None };
    let svg = parallel::draw("Search", &[axis.clone(), axis], &[line]).document();
    let shown: Vec<String> = names.iter().map(|name| crate::label::fit(name, 20)).collect();
    let shown = written(&svg, &shown);
    assert!(shown.iter().all(|text| text.left >= 0.0), "{shown:?}");
    assert!(shown.windows(2).all(|pair| pair[0].y - pair[1].y >= 11.0), "{shown:?}");
}
