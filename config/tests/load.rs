//! Loading from disk: the folder of the file counts, and files that cannot be used say why.

use std::fs;
use std::path::Path;

use tidegate_config::{Action, Failure, load};

const TEXT: &str = r#"
[[listener]]
address = ":8080"
[upstream.app]
endpoints = [":3000"]
[[route]]
upstream = "app"
error_pages = { 502 = "errors/502.html" }
"#;

#[test]
fn error_pages_are_found_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("errors")).unwrap();
    fs::write(folder.path().join("errors/502.html"), "sorry").unwrap();
    let path = folder.path().join("tidegate.toml");
    fs::write(&path, TEXT).unwrap();
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.plan.routes[0].error_pages[0].body, b"sorry");

    fs::write(folder.path().join("errors/502.html"), vec![b'x'; 256 * 1024 + 1]).unwrap();
    let Err(Failure::Invalid(diagnostics)) = load(&path) else { panic!("a large page was taken") };
    assert!(diagnostics.to_string().contains("is too large"), "{diagnostics}");
}

#[test]
fn folders_are_found_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.toml");
    let text = "server.access_log = { path = \"access.log\" }\n[cache]\ndisk = { path = \"kept\" }\n[[listener]]\naddress = \":8080\"\n\
                [[route]]\nfiles = { root = \"public/\", fallback = \"index.html\" }\n";
    fs::write(&path, text).unwrap();
    let told = load(&path).unwrap_err().to_string();
    assert!(told.contains("cannot read \"public/\": No such file"), "{told}");

    fs::write(folder.path().join("public"), "").unwrap();
    let told = load(&path).unwrap_err().to_string();
    assert!(told.contains("\"public/\"") && told.contains("Not a directory"), "{told}");
    fs::write(&path, text.replace("public/", "public")).unwrap();
    let told = load(&path).unwrap_err().to_string();
    assert!(told.contains("\"public\" is a file, not a folder"), "{told}");

    fs::remove_file(folder.path().join("public")).unwrap();
    fs::create_dir(folder.path().join("public")).unwrap();
    let told = load(&path).unwrap_err().to_string();
    assert!(told.contains("files.fallback: cannot read \"index.html\""), "{told}");

    fs::write(folder.path().join("public/index.html"), "<h1>here</h1>").unwrap();
    let plan = load(&path).unwrap().plan;
    let Action::Files(files) = &plan.routes[0].action else { panic!("{:?}", plan.routes[0].action) };
    assert_eq!(files.root, folder.path().join("public"));
    assert_eq!(plan.cache.disk.unwrap().path, folder.path().join("kept"));
    assert_eq!(plan.server.access_log.unwrap().path, Some(folder.path().join("access.log")));
}

#[test]
fn the_environment_is_the_one_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.toml");
    // Every run by cargo has this variable.
    let text = "[[listener]]\naddress = \":8080\"\n[[route]]\nrespond = { body = \"${CARGO_PKG_NAME}\" }\n";
    fs::write(&path, text).unwrap();
    let plan = load(&path).unwrap().plan;
    assert!(format!("{:?}", plan.routes[0].action).contains("tidegate-config"));
}

#[test]
fn files_that_cannot_be_read_say_why_and_what_to_do() {
    let missing = load(Path::new("/nowhere/tidegate.toml")).unwrap_err();
    let told = missing.to_string();
    assert!(told.starts_with("error: cannot read /nowhere/tidegate.toml: "), "{told}");
    assert!(told.contains("\nhelp: name another file with -c"), "{told}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.toml");
    fs::write(&path, b"via = \"\xff\"").unwrap();
    let told = load(&path).unwrap_err().to_string();
    assert!(told.contains("it is not UTF-8\nhelp: save it as UTF-8 text"), "{told}");
    assert!(matches!(load(folder.path()), Err(Failure::Unreadable { .. })));
}
