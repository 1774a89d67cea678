//! S3 as its clients use it: boto3 and the AWS CLI in processes of their own, and bare requests for what they never send.

mod bare;
mod server;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use kokanee_control::signature::Keys;
use kokanee_testkit::outside::{self, OutsideTest};

use crate::server::Running;

/// Keys of a server that has some.
const ACCESS: &str = "AKIA-test.key";
const SECRET: &str = "a/secret+with=odd~characters";

fn main() -> ExitCode {
    let python = python("boto3");
    let cli = python.clone().and_then(|_| self::python("awscli"));
    let mut tests: Vec<OutsideTest> =
        ["buckets", "objects", "listing", "multipart", "copies", "presigned", "checksums"]
            .into_iter()
            .map(|topic| {
                OutsideTest::new(topic, &python, move |python| script(python, "boto3_client.py", topic))
            })
            .collect();
    tests.push(OutsideTest::new("signed", &python, |python| script(python, "signed.py", "signed")));
    tests.push(OutsideTest::new("the_command_line", &cli, |python| script(python, "command_line.py", "all")));
    let none = Ok(String::new());
    let bare: [(&'static str, fn()); 7] = [
        ("a_cut_upload_leaves_nothing", bare::a_cut_upload_leaves_nothing),
        ("chunks_within_chunks_and_trailers", bare::chunks_within_chunks_and_trailers),
        ("keys_that_are_no_paths_stay_in_the_folder", bare::keys_that_are_no_paths_stay_in_the_folder),
        ("buckets_in_hosts", bare::buckets_in_hosts),
        ("an_upload_is_asked_for_before_it_is_sent", bare::an_upload_is_asked_for_before_it_is_sent),
        ("two_writers_at_once", bare::two_writers_at_once),
        ("forms_of_browsers", bare::forms_of_browsers),
    ];
    tests.extend(bare.into_iter().map(|(name, run)| OutsideTest::new(name, &none, move |_| run())));
    outside::run(tests)
}

/// The Python that has a package, or what is missing.
fn python(package: &str) -> Result<String, String> {
    let program = std::env::var("KOKANEE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = format!("import importlib.metadata; importlib.metadata.version('{package}')");
    let mut command = Command::new(&program);
    command.args(["-c", &probe]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if command.status().is_ok_and(|status| status.success()) {
        return Ok(program);
    }
    Err(format!("{program} has no package {package}; KOKANEE_PYTHON names another Python"))
}

/// Runs a part of a script against a server, and again what it says of a restart.
fn script(python: &str, script: &str, topic: &str) {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("s3");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python");
    for round in ["first", "after a restart"] {
        let keys = (topic == "signed").then(|| Keys::new(ACCESS, SECRET).expect("keys"));
        let (access, secret) = if keys.is_some() { (ACCESS, SECRET) } else { ("anybody", "anything") };
        let server = Running::with_keys(&folder, keys);
        let output = Command::new(python)
            .args(["-W", "ignore"])
            .arg(root.join(script))
            .args([format!("http://{}", server.address), topic.to_owned(), round.to_owned()])
            .arg(&folder)
            .current_dir(place.path())
            .env("AWS_ACCESS_KEY_ID", access)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_DEFAULT_REGION", "us-west-2")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .stdin(Stdio::null())
            .output()
            .expect("Python starts");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("all as expected"),
            "{round}: {said}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let left: Vec<String> =
            server.files().into_iter().filter(|name| name.starts_with(".kokanee-s3/unnamed/")).collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(server.memory.taken(), 0);
    }
}
