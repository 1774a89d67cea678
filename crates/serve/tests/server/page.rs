//! The page as a browser shows it. Left out where there is no Chromium.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::workplace::{Running, sentence, temporary};

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

fn browser() -> Option<&'static str> {
    let answers = |name: &&str| {
        let mut command = Command::new(name);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    BROWSERS.into_iter().find(answers)
}

/// The page's elements after everything on it has run.
fn elements(browser: &str, page: &str, profile: &Path) -> String {
    let output = Command::new(browser)
        // In containers the user is often root, and Chromium's sandbox refuses that.
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(page)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_browser_types_a_sentence_and_sees_answers_and_attention() {
    let Some(browser) = browser() else {
        eprintln!("skipped: there is no Chromium");
        return;
    };
    let server = Running::new();
    let folder = tempfile::tempdir_in(temporary()).unwrap();
    let source = format!("{} <b>", sentence(4, 3));
    let form = format!(
        r#"<form id="f" method="post" action="http://{}/"><textarea name="text">{}</textarea>
        <input name="nbest" value="2"></form><script>document.getElementById("f").submit()</script>"#,
        server.address,
        source.replace('<', "&lt;")
    );
    let page = folder.path().join("form.html");
    std::fs::write(&page, form).unwrap();
    let shown = elements(browser, &format!("file://{}", page.display()), folder.path());

    let service =
        server.json(&serde_json::json!({"instances": [{"data": source, "configuration": {"nbest": 2}}]}));
    let answers: serde_json::Value = serde_json::from_slice(&service.ok().body).unwrap();
    let target = answers["predictions"][0]["target"].as_str().unwrap();
    assert!(
        !target.is_empty() && shown.contains(&target.replace('<', "&lt;").replace('>', "&gt;")),
        "no {target} in {shown}"
    );
    assert!(shown.contains("<table class=\"heat\">"), "no heat map in {shown}");
    assert!(!shown.contains("<b>"), "the sentence became an element of the page: {shown}");
}
