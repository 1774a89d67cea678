//! Tests of the page in a browser.

use std::path::Path;
use std::process::Command;

use crate::serving::Server;
use crate::workplace::{Workplace, model};

/// The page's elements after everything on it has run.
fn elements(browser: &str, page: &str, profile: &Path) -> String {
    let output = Command::new(browser)
        // In containers the user is often root, and Chromium's sandbox refuses that.
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .args(["--disable-component-update", "--disable-sync", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(page)
        .output()
        .expect("the browser starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn types_a_sentence_and_sees_answers_and_attention(browser: &str) {
    let work = Workplace::new();
    let server = Server::start(
        work.command(&["serve", "--port", "0", "--threads", "1", "--log", "json", "--model", &model()]),
        "the page",
    );
    let form = format!(
        r#"<form id="f" method="post" action="http://{}/"><textarea name="text">a b c &lt;b></textarea>
        <input name="nbest" value="2"></form><script>document.getElementById("f").submit()</script>"#,
        server.address,
    );
    work.write("form.html", form);
    let page = format!("file://{}", work.path("form.html").display());
    let shown = elements(browser, &page, &work.path("profile"));
    let target = work.run_with(&format!("translate --model {}", model()), "a b c <b>\n").well().stdout;
    let target = target.trim();
    assert!(
        !target.is_empty() && shown.contains(&target.replace('<', "&lt;").replace('>', "&gt;")),
        "no {target} in {shown}"
    );
    assert!(shown.contains("<svg class=\"k-plot\""), "no heat map in {shown}");
    assert!(!shown.contains("<b>"), "the sentence became an element of the page: {shown}");
}
