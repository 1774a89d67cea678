//! Tests that every documented command works unchanged: the `sh` blocks of README and docs, and the examples of each `--help`,
//! pasted into a shell in a folder with files of the names that they use.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::serving::Server;
use crate::workplace::{self, TINY, Workplace};

/// Beginnings of documented commands that are not run here, each with its reason.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo ", "they are the repository's own; the gate runs what it needs of them"),
    ("cd fuzz", "it belongs to the commands of cargo after it"),
    ("python -m sockeye", "it needs a machine with Sockeye; `cargo xtask peers sockeye-load` runs it"),
    (
        "kokanee local",
        "it serves until it is stopped, with data in the home folder; the tests of clients run it",
    ),
    ("eval \"$(kokanee local", "it needs the server of the line before"),
    ("docker ", "it needs Docker, and takes minutes"),
    ("aws ", "it needs a server with jobs; the tests of clients run the AWS CLI"),
    ("kokanee demo", "it takes minutes; the tests of the command line run it for a few updates"),
];
/// Whole commands that are not run here: they work in /opt/ml. The tests of the command line run them in another folder.
const OF_CONTAINERS: &[&str] = &["kokanee train", "kokanee serve"];

/// The narrowest common terminal; the lines of a help must fit, or the terminal breaks the commands.
const TERMINAL_COLUMNS: usize = 80;

/// A text with commands.
struct Document {
    /// The name, such as `docs/training.md`, or `kokanee train --help`.
    name: String,
    commands: Vec<String>,
    /// A line of its examples that a terminal would break.
    too_wide: Option<String>,
}

/// A test and its name.
type Named = (&'static str, Box<dyn FnOnce(&str) + Send>);

/// A test of each document in one shell.
pub(crate) fn tests(shell: &str) -> Vec<Named> {
    let documents = documents();
    assert!(documents.len() > 15, "only {} documents have commands", documents.len());
    let test = |document: Document| -> Named {
        let name = format!("commands of {} in {shell}", document.name);
        // The harness wants names that live as long as the program.
        (name.leak(), Box::new(move |shell| document.check(shell)))
    };
    documents.into_iter().map(test).collect()
}

fn documents() -> Vec<Document> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = vec![root.join("README.md")];
    let docs = fs::read_dir(root.join("docs")).expect("lists");
    files.extend(
        docs.map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|e| e == "md")),
    );
    files.sort();
    let mut documents: Vec<Document> = files
        .iter()
        .map(|path| Document {
            name: path.strip_prefix(&root).expect("below the root").display().to_string(),
            commands: joined(blocks(&fs::read_to_string(path).expect("reads"))),
            too_wide: None,
        })
        .collect();
    documents.extend(subcommands().iter().map(|name| {
        let help = help(&[name]);
        let examples = examples(&help);
        let too_wide = examples.iter().find(|line| line.chars().count() > TERMINAL_COLUMNS);
        Document {
            name: format!("kokanee {name} --help"),
            too_wide: too_wide.map(|line| (*line).to_owned()),
            commands: joined(examples),
        }
    }));
    documents.retain(|document| !document.commands.is_empty());
    documents
}

/// The output of `kokanee … --help`.
fn help(subcommand: &[&str]) -> String {
    Workplace::new().run(&format!("{} --help", subcommand.join(" "))).well().stdout
}

/// The names in the list of commands of `kokanee --help`.
fn subcommands() -> Vec<String> {
    let help = help(&[]);
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let entries = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = entries.filter_map(|line| line.split_whitespace().next());
    let names: Vec<String> = names.filter(|name| *name != "help").map(str::to_owned).collect();
    assert!(names.len() >= 12, "{names:?}");
    names
}

/// The lines of the `sh` blocks of a document.
fn blocks(markdown: &str) -> Vec<&str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in markdown.lines() {
        match line.trim_end() {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => lines.push(line),
            _ => {}
        }
    }
    lines
}

/// The examples of a help: lines that begin with two blanks, and their continuations after a backslash. More blanks begin a note.
fn examples(help: &str) -> Vec<&str> {
    let listed = help.lines().skip_while(|line| !matches!(*line, "Example:" | "Examples:")).skip(1);
    let mut lines: Vec<&str> = Vec::new();
    for line in listed.take_while(|line| line.is_empty() || line.starts_with("  ")) {
        let is_continued = lines.last().is_some_and(|last| last.ends_with('\\'));
        if is_continued || !line.starts_with("   ") && !line.is_empty() {
            lines.push(line);
        }
    }
    lines
}

/// Joins whole commands: a backslash or a pipe at a line's end continues it.
fn joined(lines: Vec<&str>) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continues = false;
    for line in lines {
        match commands.last_mut() {
            Some(command) if continues => *command = format!("{command}\n{line}"),
            _ => commands.push(line.to_owned()),
        }
        continues = line.ends_with('\\') || line.ends_with('|');
    }
    commands.iter().map(|command| command.trim().to_owned()).filter(|command| !command.is_empty()).collect()
}

impl Document {
    fn check(&self, shell: &str) {
        assert_eq!(self.too_wide, None, "{}: wider than {TERMINAL_COLUMNS} columns", self.name);
        let work = sample();
        let mut server: Option<Server> = None;
        for command in &self.commands {
            assert!(
                !command.split_whitespace().any(|word| word.starts_with('#')),
                "{}: an interactive zsh knows no comments: {command}",
                self.name
            );
            if NOT_RUN.iter().any(|(start, _)| command.starts_with(start))
                || OF_CONTAINERS.contains(&command.as_str())
            {
                continue;
            }
            if command.starts_with("kokanee serve") {
                drop(server.take());
                server = Some(Server::start(
                    shell_command(&work, shell, &on_a_free_port(command)),
                    self.name.as_str(),
                ));
                continue;
            }
            let address = server.as_ref().map(|server| server.address.as_str());
            let line =
                address.map_or_else(|| command.clone(), |address| command.replace("localhost:8080", address));
            let output = shell_command(&work, shell, &line).output().expect("the shell starts");
            let (stdout, stderr) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(
                output.status.success() && !stdout.starts_with("{\"error\""),
                "{}: {line}\n{}\n{stdout}\n{stderr}",
                self.name,
                output.status
            );
        }
    }
}

/// The same `kokanee serve` on a port that the system chooses.
fn on_a_free_port(command: &str) -> String {
    let mut words: Vec<&str> = command.split_whitespace().collect();
    if let Some(at) = words.iter().position(|word| *word == "--port") {
        words.drain(at..at + 2);
    }
    format!("{} --port 0 --log json", words.join(" "))
}

/// A shell that reads this command from its stdin, as if it was pasted, with history expansion in bash. `kokanee` is the program
/// under test; `kokanee train` creates small models in few updates.
fn shell_command(work: &Workplace, shell: &str, line: &str) -> Command {
    work.write("typed", format!("{line}\nexit $?\n"));
    let mut command = Command::new(shell);
    match shell {
        "bash" => command.args(["--norc", "--noprofile", "-o", "history", "-o", "histexpand"]),
        _ => command.arg("-f"),
    };
    let mut path = OsString::from(work.path("bin"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    command.env("PATH", path).env_remove("TRAINING_JOB_NAME").env("HISTFILE", "");
    command.current_dir(work.path("")).stdin(Stdio::from(fs::File::open(work.path("typed")).expect("opens")));
    command
}

/// A folder with files of all the names that documents use.
fn sample() -> Workplace {
    let work = Workplace::new();
    let trained = workplace::trained();
    workplace::copy(&trained.join("data"), &work.path("data"));
    workplace::copy(&trained.join("data"), &work.path("new"));
    workplace::copy(&trained.join("model"), &work.path("model"));
    fs::copy(trained.join("model/model.tar.gz"), work.path("model.tar.gz")).expect("copies");
    fs::copy(trained.join("data/val.rec"), work.path("test.rec")).expect("copies");
    for (set, pairs, seed) in [("train", 60, 3), ("val", 20, 4), ("test", 10, 5)] {
        let (source, target) = workplace::pairs(pairs, seed);
        for (name, text) in [
            ("de", &source),
            ("en", &target),
            ("graphemes", &source),
            ("phonemes", &target),
            ("en1", &target),
            ("en2", &target),
        ] {
            work.write(&format!("{set}.{name}"), text);
            work.write(&format!("{set}.{name}.gz"), gzip(text.as_bytes()));
        }
    }
    let (source, target) = workplace::pairs(20, 6);
    for (name, text) in
        [("a.txt", &source), ("b.txt", &target), ("words.graphemes", &source), ("words.phonemes", &target)]
    {
        work.write(name, text);
    }
    for set in ["train", "val", "test"] {
        work.write(
            &format!("{set}.dict"),
            "tomato\tT AH M EY T OW\ntomato(2)\tT AH M AA T OW\ntest\tT EH S T\n",
        );
    }
    work.write("sentences.txt", &source);
    let row = |row: i32| format!("{},{}\n", row % 7, row * row % 11);
    work.write("rows.csv", (0..100).map(row).collect::<String>());
    let train = "train --algorithm kmeans --train rows.csv --content-type text/csv;label_size=0 --output clusters --set k=3";
    work.run(train).well();
    work.write("texts/one.txt", &source);
    let objects = |key: &str| -> String {
        let line = |(id, text): (usize, &str)| format!("{{\"id\": {id}, \"{key}\": \"{text}\"}}\n");
        source.lines().enumerate().map(line).collect()
    };
    work.write("sentences.jsonl", objects("data"));
    work.write("in.jsonl", objects("source"));
    work.write("records/part.jsonl.gz", gzip(objects("data").as_bytes()));
    small_trainings(&work);
    old_models(&work);
    work
}

/// Creates `bin/kokanee`, which trains small models in few updates, and the folder of a training job.
fn small_trainings(work: &Workplace) {
    let settings = TINY.split("--set").filter_map(|setting| setting.trim().split_once('='));
    let mut settings: BTreeMap<&str, &str> = settings.collect();
    settings.insert("max_num_batches", "2");
    let json = serde_json::to_string(&settings).expect("JSON");
    work.write("small.json", &json);
    work.write("hyperparameters.json", &json);
    let program = env!("CARGO_BIN_EXE_kokanee");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n\
         train*--hyperparameters*|train*--prefix*|train*--algorithm*) exec '{program}' \"$@\" ;;\n\
         train*) exec '{program}' \"$@\" --hyperparameters small.json ;;\n\
         tune*--algorithm*|tune*--report*) exec '{program}' \"$@\" ;;\n\
         tune*) exec '{program}' \"$@\" --hyperparameters small.json --set checkpoint_frequency_num_batches=1 ;;\n\
         *) exec '{program}' \"$@\" ;;\nesac\n"
    );
    work.write("bin/kokanee", script);
    executable(&work.path("bin/kokanee"));
    let trained = workplace::trained().join("data");
    work.write("job/input/config/hyperparameters.json", &json);
    for (channel, file) in [
        ("train", "train.rec"),
        ("validation", "val.rec"),
        ("vocab", "vocab.src.json"),
        ("vocab", "vocab.trg.json"),
    ] {
        let folder = work.path("job/input/data").join(channel);
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(trained.join(file), folder.join(file)).expect("copies");
    }
    workplace::copy(&workplace::trained().join("model"), &work.path("job/model"));
}

/// Creates models of Sockeye, as a folder and as the output of a SageMaker job.
fn old_models(work: &Workplace) {
    let golden = kokanee_testkit::golden("rnn_lstm_mlp_last");
    let folder = work.path("sockeye-model");
    fs::create_dir_all(&folder).expect("a folder");
    for (from, to) in [
        (golden.join("config.yaml"), "config"),
        (golden.join("params.mxnet"), "params.best"),
        (golden.join("params.mxnet"), "params.00042"),
        (kokanee_testkit::golden_folder().join("vocab.src.json"), "vocab.src.0.json"),
        (kokanee_testkit::golden_folder().join("vocab.trg.json"), "vocab.trg.0.json"),
    ] {
        fs::copy(from, folder.join(to)).expect("copies");
    }
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(".", &folder).expect("packs");
    work.write("sagemaker-model.tar.gz", gzip(&archive.into_inner().expect("packs")));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, bytes).expect("packs");
    packed.finish().expect("packs")
}

fn executable(path: &PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("allowed");
}
