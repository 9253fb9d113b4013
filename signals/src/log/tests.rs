//! The access log as a whole: threads, full disks, rotation.

use std::fs;
use std::io::Write;
use std::sync::mpsc;
use std::sync::{Condvar, Mutex};
use std::time::SystemTime;

use super::*;
use crate::request::Finished;
use crate::request::tests::finished;

const EVERYTHING: [f64; 5] = [1.0; 5];

fn settings(path: Option<PathBuf>) -> Settings {
    Settings { path, format: Format::Json, sample: EVERYTHING }
}

fn write(handle: &mut LogHandle, target: &str) {
    let finished = Finished { target: target.as_bytes(), ..finished() };
    handle.write(&finished, "r", "u", "e", SystemTime::UNIX_EPOCH);
}

fn targets(text: &str) -> Vec<String> {
    let target = |line: &str| {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        line["target"].as_str().unwrap().to_owned()
    };
    text.lines().map(target).collect()
}

fn count(signals: &Signals, fate: &str) -> u64 {
    signals.log.counts().into_iter().find(|(name, _)| *name == fate).unwrap().1
}

/// A disk that takes `room` bytes, and more only when it is given more.
#[derive(Clone, Default)]
struct Disk {
    state: Arc<(Mutex<DiskState>, Condvar)>,
}

#[derive(Default)]
struct DiskState {
    room: usize,
    written: Vec<u8>,
    failures: u64,
}

impl Disk {
    fn give(&self, room: usize) {
        self.state.0.lock().unwrap().room = room;
    }

    fn wait_for_failures(&self, failures: u64) {
        let state = self.state.0.lock().unwrap();
        drop(self.state.1.wait_while(state, |state| state.failures < failures).unwrap());
    }

    fn text(&self) -> String {
        String::from_utf8(self.state.0.lock().unwrap().written.clone()).unwrap()
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.0.lock().unwrap();
        if state.room == 0 {
            state.failures += 1;
            self.state.1.notify_all();
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = bytes.len().min(state.room);
        state.room -= count;
        state.written.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_of_every_core_arrive_whole_and_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let signals = Signals::new(1);
    let log = AccessLog::open(settings(Some(path.clone())), &signals).unwrap();
    std::thread::scope(|scope| {
        for core in 0..4 {
            let mut handle = log.handle();
            scope.spawn(move || {
                for number in 0..5_000 {
                    write(&mut handle, &format!("/{core}/{number}"));
                    if number % 1_000 == 0 {
                        handle.tick();
                    }
                }
            });
        }
    });
    log.close();
    let targets = targets(&fs::read_to_string(path).unwrap());
    for core in 0..4 {
        let prefix = format!("/{core}/");
        let numbers = targets.iter().filter_map(|target| target.strip_prefix(&prefix)).collect::<Vec<_>>();
        assert_eq!(numbers, (0..5_000).map(|number| number.to_string()).collect::<Vec<_>>());
    }
    assert_eq!(count(&signals, "written"), 20_000);
    assert_eq!(count(&signals, "dropped") + count(&signals, "failed"), 0);
}

#[test]
fn a_tick_brings_lines_to_the_file_before_the_buffer_is_full() {
    let disk = Disk::default();
    let signals = Signals::new(1);
    let log = AccessLog::over(Sink::over(Box::new(disk.clone())), settings(None), Arc::clone(&signals.log))
        .unwrap();
    let mut handle = log.handle();
    write(&mut handle, "/1");
    handle.tick();
    disk.wait_for_failures(1);
    handle.tick();
    drop(handle);
    log.close();
    assert_eq!(count(&signals, "failed"), 1, "only the first tick had a line to hand over");
}

#[test]
fn a_full_disk_loses_lines_but_breaks_none() {
    let disk = Disk::default();
    disk.give(500);
    let signals = Signals::new(1);
    let log = AccessLog::over(Sink::over(Box::new(disk.clone())), settings(None), Arc::clone(&signals.log))
        .unwrap();
    let mut handle = log.handle();
    for number in 0..10 {
        write(&mut handle, &format!("/first/{number}"));
    }
    handle.tick();
    disk.wait_for_failures(1);
    write(&mut handle, "/second");
    handle.tick();
    disk.wait_for_failures(2);
    disk.give(usize::MAX);
    write(&mut handle, "/third");
    drop(handle);
    log.close();

    let targets = targets(&disk.text());
    let kept = targets.len() as u64;
    assert_eq!(targets.last().unwrap(), "/third");
    assert_eq!(targets[0], "/first/0");
    assert!(!targets.contains(&"/second".to_owned()));
    assert_eq!(count(&signals, "written"), kept);
    assert_eq!(count(&signals, "failed"), 12 - kept);
}

#[cfg(target_os = "linux")]
#[test]
fn traffic_goes_on_over_a_device_without_space() {
    let signals = Signals::new(1);
    let log = AccessLog::open(settings(Some("/dev/full".into())), &signals).unwrap();
    let mut handle = log.handle();
    for number in 0..10_000 {
        write(&mut handle, &format!("/{number}"));
    }
    drop(handle);
    log.close();
    assert_eq!(count(&signals, "written"), 0);
    assert_eq!(count(&signals, "failed"), 10_000);
}

/// A disk that hangs until it is let go.
struct Hanging(mpsc::Receiver<()>);

impl Write for Hanging {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_hangs_holds_nobody_up() {
    let (let_go, hanging) = mpsc::channel();
    let signals = Signals::new(1);
    let sink = Sink::over(Box::new(Hanging(hanging)));
    let log = AccessLog::over(sink, settings(None), Arc::clone(&signals.log)).unwrap();
    let mut handle = log.handle();
    for number in 0..1_000 {
        write(&mut handle, &format!("/{number}"));
        handle.tick();
    }
    // The queue holds 256 batches, and the writer one more if it has woken up by now.
    let dropped = count(&signals, "dropped");
    assert!((743..=744).contains(&dropped), "{dropped}");
    drop(let_go);
    drop(handle);
    log.close();
    assert_eq!(count(&signals, "written") + count(&signals, "dropped"), 1_000);
}

#[test]
fn after_a_rotation_lines_go_to_the_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let signals = Signals::new(1);
    let log = AccessLog::open(settings(Some(path.clone())), &signals).unwrap();
    let mut handle = log.handle();
    write(&mut handle, "/before");
    handle.tick();
    // The writer has taken the first line once it is in the file.
    while fs::read_to_string(&path).unwrap().is_empty() {
        std::thread::yield_now();
    }
    fs::rename(&path, &moved).unwrap();
    log.reopen();
    write(&mut handle, "/after");
    drop(handle);
    log.close();
    assert_eq!(targets(&fs::read_to_string(&moved).unwrap()), ["/before"]);
    assert_eq!(targets(&fs::read_to_string(&path).unwrap()), ["/after"]);
}

#[test]
fn a_rotation_that_fails_keeps_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("logs");
    fs::create_dir(&inner).unwrap();
    let signals = Signals::new(1);
    let log = AccessLog::open(settings(Some(inner.join("access.log"))), &signals).unwrap();
    let moved = folder.path().join("moved");
    fs::rename(&inner, &moved).unwrap();
    log.reopen();
    let mut handle = log.handle();
    write(&mut handle, "/kept");
    drop(handle);
    log.close();
    assert_eq!(targets(&fs::read_to_string(moved.join("access.log")).unwrap()), ["/kept"]);
}

#[test]
fn sampled_out_requests_are_counted_and_not_written() {
    let disk = Disk::default();
    disk.give(usize::MAX);
    let signals = Signals::new(1);
    let settings = Settings { sample: [1.0, 0.0, 1.0, 1.0, 1.0], ..settings(None) };
    let log =
        AccessLog::over(Sink::over(Box::new(disk.clone())), settings, Arc::clone(&signals.log)).unwrap();
    let mut handle = log.handle();
    write(&mut handle, "/fine");
    handle.write(
        &Finished { status: 500, target: b"/bad", ..finished() },
        "",
        "",
        "",
        SystemTime::UNIX_EPOCH,
    );
    drop(handle);
    log.close();
    assert_eq!(targets(&disk.text()), ["/bad"]);
    assert_eq!(count(&signals, "sampled_out"), 1);
}

#[test]
fn a_handle_that_outlives_its_log_counts_its_lines_as_dropped() {
    let disk = Disk::default();
    let signals = Signals::new(1);
    let log = AccessLog::over(Sink::over(Box::new(disk)), settings(None), Arc::clone(&signals.log)).unwrap();
    let mut handle = log.handle();
    log.close();
    write(&mut handle, "/late");
    drop(handle);
    assert_eq!(count(&signals, "dropped"), 1);
}

#[test]
fn a_path_that_cannot_be_opened_is_an_error() {
    let signals = Signals::new(1);
    let error = AccessLog::open(settings(Some("/nowhere/at/all.log".into())), &signals).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
