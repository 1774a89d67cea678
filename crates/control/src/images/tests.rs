use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::container::ContainerTool;
use super::*;

fn image(name: &str) -> RegisteredImage {
    RegisteredImage {
        name: name.to_owned(),
        train: vec!["/bin/train".to_owned(), name.to_owned()],
        serve: Vec::new(),
        directory: PathBuf::from("/"),
    }
}

#[test]
fn programs_are_found_by_the_names_of_images() {
    let folder = tempfile::tempdir().unwrap();
    let images = RegisteredImages::new(&folder.path().join("data"));
    for name in ["my-algo:1", "000000000000.dkr.ecr.us-east-1.amazonaws.com/my-algo", "team/other:2"] {
        images.add(image(name)).unwrap();
    }
    images.add(image("my-algo:1")).unwrap();
    let names: Vec<String> = images.list().unwrap().into_iter().map(|image| image.name).collect();
    assert_eq!(names, ["my-algo:1", "my-algo:latest", "team/other:2"]);
    let check = |name: &str, want: Option<&str>| {
        let found = images.find(name).unwrap().map(|image| image.name);
        assert_eq!(found.as_deref(), want, "{name}");
    };
    check("my-algo:1", Some("my-algo:1"));
    check("123456789012.dkr.ecr.eu-west-1.amazonaws.com/my-algo:1", Some("my-algo:1"));
    check("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/my-algo:1@sha256:00", Some("my-algo:1"));
    check("my-algo:3", Some("my-algo:latest"));
    check("my-algo", Some("my-algo:latest"));
    check("team/other:2", Some("team/other:2"));
    check("team/other:3", None);
    check("example.com:5000/my-algo:1", None);
    assert!(images.remove("my-algo:1").unwrap() && !images.remove("my-algo:1").unwrap());
    check("my-algo:1", Some("my-algo:latest"));
    fs::write(folder.path().join("data/images.json"), "{").unwrap();
    assert!(images.list().unwrap_err().to_string().contains("images.json: "));
}

#[test]
fn commands_are_read_as_a_shell_reads_them() {
    assert_eq!(command("python 'my train.py' --a=\"b c\"").unwrap(), ["python", "my train.py", "--a=b c"]);
    assert_eq!(command(" "), Err(CommandError::Empty));
    assert!(matches!(command("python 'train"), Err(CommandError::Quote(_))));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.sh"), "").unwrap();
    let path = folder.path().join("train.sh").display().to_string();
    let search = [folder.path().join("none"), folder.path().to_owned()];
    let find =
        |words: &str, directory: &std::path::Path| located(command(words).unwrap(), directory, &search);
    assert_eq!(find("train.sh -x", std::path::Path::new("/")).unwrap(), [&*path, "-x"]);
    assert_eq!(
        find("./train.sh", folder.path()).unwrap(),
        [folder.path().join("./train.sh").display().to_string()]
    );
    assert!(matches!(find("./train.sh", std::path::Path::new("/")), Err(CommandError::NoProgram(_))));
    assert!(matches!(find("no-such-program", folder.path()), Err(CommandError::NoProgram(_))));
}

fn launch(entrypoint: &[&str], arguments: &[&str], purpose: Purpose) -> Launch<'static> {
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    Launch {
        purpose,
        name: "us-east-1-job",
        arn: "arn:job",
        folder: std::path::Path::new("/data/ml"),
        environment: BTreeMap::from([("A".to_owned(), "b c".to_owned())]),
        entrypoint: owned(entrypoint),
        arguments: owned(arguments),
    }
}

#[test]
fn containers_are_run_as_sagemaker_runs_them() {
    let container =
        OwnImage::Container(ContainerImage { tool: ContainerTool::Docker, name: "my/algo:1".to_owned() });
    let check = |launch: Launch<'_>, want: &str| {
        let Launched { task, cleanup } = container.launch(&launch).unwrap();
        assert_eq!(task.program, PathBuf::from("docker"));
        let common = "run --rm --name kokanee-us-east-1-job --label kokanee.job=arn:job ";
        assert_eq!(task.arguments.join(" ").strip_prefix(common).unwrap(), want);
        assert_eq!(cleanup.unwrap().arguments, ["rm", "--force", "kokanee-us-east-1-job"]);
    };
    let mounted = "--volume /data/ml:/opt/ml --env A=b c";
    check(launch(&[], &[], Purpose::Train), &format!("--network none {mounted} my/algo:1 train"));
    check(launch(&[], &["x"], Purpose::Train), &format!("--network none {mounted} my/algo:1 x"));
    check(
        launch(&["/bin/sh", "-e"], &["-c", "x y"], Purpose::Train),
        &format!("--network none {mounted} --entrypoint /bin/sh my/algo:1 -e -c x y"),
    );
    check(
        launch(&[], &[], Purpose::Serve { port: 99 }),
        &format!("--publish 127.0.0.1:99:8080 {mounted} my/algo:1 serve"),
    );
    let colon = Launch { folder: std::path::Path::new("/a:b"), ..launch(&[], &[], Purpose::Train) };
    assert!(container.launch(&colon).unwrap_err().to_string().contains("colon"));
}

#[test]
fn registered_programs_are_run_with_what_the_request_says() {
    let registered = OwnImage::Registered(image("a:1"));
    let words = |launch: Launch<'_>| {
        let task = registered.launch(&launch).unwrap().task;
        let program = task.program.display().to_string();
        assert_eq!(task.environment["A"], "b c");
        assert!(!task.environment["KOKANEE_PREFIX"].is_empty());
        [vec![program], task.arguments].concat()
    };
    let check = |launch: Launch<'_>, want: &[&str]| {
        let words = words(launch);
        assert!(words.ends_with(&want.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()), "{words:?}");
    };
    check(launch(&[], &[], Purpose::Train), &["/bin/train", "a:1"]);
    check(launch(&[], &["-x"], Purpose::Train), &["/bin/train", "a:1", "-x"]);
    check(launch(&["/bin/bash"], &["-c", "x"], Purpose::Train), &["/bin/bash", "-c", "x"]);
    let served = registered.launch(&launch(&[], &[], Purpose::Serve { port: 99 })).unwrap_err();
    assert!(served.to_string().contains("has no command to serve"), "{served}");
    let both = OwnImage::Registered(RegisteredImage { serve: vec!["/bin/serve".to_owned()], ..image("a:1") });
    let task = both.launch(&launch(&[], &[], Purpose::Serve { port: 99 })).unwrap().task;
    assert_eq!(task.environment["SAGEMAKER_BIND_TO_PORT"], "99");
}

#[test]
fn an_image_that_nobody_knows_is_told_what_to_do() {
    let said = OwnImageError::Unknown {
        image: "x/y:1".to_owned(),
        short: ImageName::parse("x/y:1").to_string(),
        asked: "there is no docker".to_owned(),
    };
    assert!(said.to_string().contains("`kokanee local image add x/y:1 --train"), "{said}");
}
