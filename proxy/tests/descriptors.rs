//! What happens when the process has no descriptor left. Alone in its binary, for the limit is the process's.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use testkit::{Client, scene};

async fn status(client: &mut Client, target: &str) -> u16 {
    client.get(target).await.status()
}

#[test]
fn files_are_not_available_without_descriptors_but_for_those_in_memory() {
    let folder = TempDir::new().expect("a folder");
    for name in ["warm.txt", "cold.txt"] {
        fs::write(folder.path().join(name), name).expect("a file");
        let file = File::options().write(true).open(folder.path().join(name)).expect("the file");
        file.set_modified(SystemTime::now() - Duration::from_hours(1)).expect("a time");
    }
    scene(format!("[[route]]\nfiles = \"{}\"", folder.path().display())).run(async |scene| {
        let mut client = scene.client();
        assert_eq!(status(&mut client, "/warm.txt").await, 200);
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before }).expect("a limit");
        scene.seconds(5).await;
        let warm = status(&mut client, "/warm.txt").await;
        let cold = client.get("/cold.txt").await;
        setrlimit(Resource::Nofile, before).expect("a limit");
        assert_eq!((warm, cold.status()), (200, 503));
        assert!(cold.text().contains("files_unavailable") && cold.header("retry-after").is_some());
        assert_eq!(status(&mut client, "/cold.txt").await, 200);
    });
}
