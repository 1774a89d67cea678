use super::attention::attention;
use super::curve::{Chart, Series, curve};
use crate::render::{Attention, Scale};

/// Walks the document as a strict reader would: every tag closed in order, attributes quoted, no
/// raw `<` or stray `&` in text, no character that XML 1.0 forbids. Gives the texts found.
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

/// Places of the marks of a drawing: (x, y) in pixels.
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
    // From 0 both heights stand to each other as the values do; the axis then makes room for 20.
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
