//! Checks that `docs/local-sagemaker-actions.md` describes every action correctly.

use super::*;

const PAGE: &str = include_str!("../../../../../docs/local-sagemaker-actions.md");

/// The page's statements about the actions of a service, by the actions' names.
fn documented(service: Service) -> Vec<(&'static str, &'static str)> {
    let heading = format!("\n## {}\n", service.name());
    let section = PAGE.split_once(&heading).unwrap_or_else(|| panic!("no section {}", service.name())).1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?, cells.next()?.trim_end_matches(" |")))
    };
    section.lines().filter_map(row).filter(|(action, _)| *action != "action").collect()
}

#[test]
fn the_page_of_actions_says_what_is_true() {
    for service in Service::ALL {
        let rows = documented(service);
        for (action, said) in &rows {
            let is = match (handler(service, action), absent::answer(service, action)) {
                (Some(_), _) => "yes",
                (None, Ok(_)) => "empty",
                (None, Err(_)) => "refused",
            };
            assert_eq!(*said, is, "{} {action}", service.name());
        }
        let model = service.model();
        for action in model.operations.keys().filter(|action| handler(service, action).is_some()) {
            assert!(rows.iter().any(|(name, _)| name == action), "{} {action} is missing", service.name());
        }
        assert!(rows.len() > 2 && rows.is_sorted() || service == Service::SageMaker, "{}", service.name());
    }
}
