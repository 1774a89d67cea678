use super::*;
use proptest::prelude::*;

#[track_caller]
fn check_fault(dimension: Dimension, want: &str) {
    let error = Space::new(vec![dimension]).unwrap_err().to_string();
    assert_eq!(error, format!("hyperparameter x: {want}"));
}

#[test]
fn invalid_ranges_are_refused_by_name() {
    let continuous = |min, max, scale| Dimension::continuous("x", min, max, scale);
    check_fault(
        continuous(0.0, 1.0, Scale::Logarithmic),
        "a logarithmic scale needs a least value above 0, and it is 0",
    );
    check_fault(
        continuous(0.5, 1.0, Scale::ReverseLogarithmic),
        "a reverse-logarithmic scale needs 0 <= least <= greatest < 1, and it is 0.5 to 1",
    );
    check_fault(continuous(2.0, 1.0, Scale::Auto), "its least value 2 is above its greatest, 1");
    check_fault(continuous(f64::NAN, 1.0, Scale::Auto), "the range NaN to 1 is not finite");
    check_fault(
        continuous(f64::MIN, f64::MAX, Scale::Auto),
        &format!("the range {} to {} is too wide for 64-bit numbers", f64::MIN, f64::MAX),
    );
    let integer = |min, max, scale| Dimension::integer("x", min, max, scale);
    check_fault(
        integer(0, 5, Scale::Logarithmic),
        "a logarithmic scale needs a least value above 0, and it is 0",
    );
    check_fault(
        integer(0, 0, Scale::ReverseLogarithmic),
        "a reverse-logarithmic scale is for continuous ranges",
    );
    check_fault(
        integer(0, i64::MAX, Scale::Auto),
        "the range 0 to 9223372036854775807 leaves the integers from -2^53 to 2^53",
    );
    check_fault(Dimension::categorical::<&str>("x", []), "it has no value to choose from: name at least one");
    check_fault(
        Dimension::categorical("x", ["a", "b", "a"]),
        "the value \"a\" stands twice; leave one of them out",
    );
    assert_eq!(Space::new(vec![]), Err(SpaceError::Empty));
    let twice = Space::new(vec![integer(1, 2, Scale::Auto), continuous(0.0, 1.0, Scale::Auto)]);
    assert_eq!(twice, Err(SpaceError::Twice { name: "x".into() }));
}

#[test]
fn auto_takes_logarithms_of_three_decades() {
    let scale = |min, max| Dimension::continuous("x", min, max, Scale::Auto).scale().unwrap();
    assert_eq!(scale(1e-4, 1e-1), Scale::Logarithmic);
    assert_eq!(scale(1e-4, 0.099), Scale::Linear);
    assert_eq!(scale(0.0, 1e9), Scale::Linear);
    assert_eq!(scale(0.0, 0.9995), Scale::ReverseLogarithmic);
    assert_eq!(scale(0.5, 0.99), Scale::Linear);
    let integer = |min, max| Dimension::integer("x", min, max, Scale::Auto).scale().unwrap();
    assert_eq!(integer(1, 1000), Scale::Logarithmic);
    assert_eq!(integer(0, 1000), Scale::Linear);
    assert_eq!(Dimension::categorical("x", ["a"]).scale(), None);
}

#[test]
fn middles_of_scales_are_where_mathematics_puts_them() {
    let middle = |min, max, scale| match Dimension::continuous("x", min, max, scale).decode(0.5) {
        Value::Real(value) => value,
        other => panic!("{other:?}"),
    };
    assert!((middle(2.0, 4.0, Scale::Linear) - 3.0).abs() < 1e-12);
    assert!((middle(1e-4, 1e-2, Scale::Logarithmic) - 1e-3).abs() < 1e-12);
    assert!((middle(0.0, 0.99, Scale::ReverseLogarithmic) - 0.9).abs() < 1e-12);
    assert_eq!(middle(7.0, 7.0, Scale::Auto), 7.0);
}

#[test]
fn integers_and_categories_own_equal_parts() {
    let counts = |dimension: &Dimension| {
        let mut counts = std::collections::BTreeMap::new();
        for k in 0..600 {
            *counts.entry(dimension.print(dimension.decode((f64::from(k) + 0.5) / 600.0))).or_insert(0) += 1;
        }
        counts.into_values().collect::<Vec<i32>>()
    };
    assert_eq!(counts(&Dimension::integer("x", -1, 4, Scale::Linear)), [100; 6]);
    assert_eq!(counts(&Dimension::categorical("x", ["a", "b", "c"])), [200; 3]);
}

#[test]
fn strings_are_those_of_sagemaker() {
    let space = Space::new(vec![
        Dimension::continuous("rate", 1e-9, 1e20, Scale::Auto),
        Dimension::integer("units", 1, 512, Scale::Auto),
        Dimension::categorical("kind", ["lstm", "gru"]),
    ])
    .unwrap();
    let print = |rate| space.print(&[Value::Real(rate), Value::Integer(128), Value::Category(1)]);
    let want = |rate: &str| vec![("rate", rate.to_owned()), ("units", "128".into()), ("kind", "gru".into())];
    assert_eq!(print(0.001), want("0.001"));
    assert_eq!(print(1e-7), want("1e-7"));
    assert_eq!(print(2.0), want("2"));
    assert_eq!(print(0.1 + 0.2), want("0.30000000000000004"));
    let parse = |units: &'static str| {
        space.parse(move |name| match name {
            "rate" => Some("1e-3"),
            "units" => Some(units),
            _ => Some("lstm"),
        })
    };
    assert_eq!(parse("256.0"), Ok(vec![Value::Real(1e-3), Value::Integer(256), Value::Category(0)]));
    let error = parse("513").unwrap_err().to_string();
    assert_eq!(error, "hyperparameter units: 513 is not a whole number from 1 to 512");
    let error = space.parse(|_| None).unwrap_err().to_string();
    assert_eq!(error, "hyperparameter rate: it has a range and no value");
    let error = space.check(&[Value::Real(0.5), Value::Category(0), Value::Category(0)]).unwrap_err();
    assert_eq!(error.to_string(), "hyperparameter units: category 0 is not a whole number from 1 to 512");
    assert!(space.check(&[]).is_err());
}

/// Any valid dimension.
pub(crate) fn dimension(name: &'static str) -> impl Strategy<Value = Dimension> {
    let scale = prop_oneof![Just(Scale::Auto), Just(Scale::Linear), Just(Scale::Logarithmic)];
    let continuous = (1e-6..1e3, 0.0..1e3, scale.clone())
        .prop_map(move |(min, width, scale)| Dimension::continuous(name, min, min + width, scale));
    let reverse = (0.0..0.9, 0.0..0.099_999).prop_map(move |(min, width)| {
        Dimension::continuous(name, min, min + width, Scale::ReverseLogarithmic)
    });
    let signed = (-1e3..1e3, 0.0..1e3)
        .prop_map(move |(min, width)| Dimension::continuous(name, min, min + width, Scale::Linear));
    let integer = (1i64..100, 0i64..2000, scale)
        .prop_map(move |(min, width, scale)| Dimension::integer(name, min, min + width, scale));
    let categorical =
        (1usize..6).prop_map(move |n| Dimension::categorical(name, (0..n).map(|i| format!("c{i}"))));
    prop_oneof![continuous, reverse, signed, integer, categorical]
}

proptest! {
    #[test]
    fn values_survive_strings_and_stay_inside(dimension in dimension("x"), unit in 0.0..=1.0f64) {
        let space = Space::new(vec![dimension]).unwrap();
        let values = space.decode(&[unit]);
        prop_assert_eq!(space.check(&values), Ok(()));
        let printed = space.print(&values);
        prop_assert_eq!(space.parse(|_| Some(printed[0].1.as_str())), Ok(values.clone()));
        let point = space.encode(&values);
        prop_assert!((0.0..=1.0).contains(&point[0]));
        match (&values[0], &space.decode(&point)[0]) {
            (Value::Real(a), Value::Real(b)) => prop_assert!((a - b).abs() <= 1e-9 * a.abs().max(1.0)),
            (a, b) => prop_assert_eq!(a, b),
        }
    }
}
