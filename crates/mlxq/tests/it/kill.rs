//! Conversions that are killed: what they leave, and how the next one goes on.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::Work;
use crate::llama::{self, Random, Running, content, journal, same};

/// Kills of the first test.
const KILLS: usize = 100;
const CONVERT: [&str; 7] =
    ["convert", "--hf-path", "source", "--max-shard-size", "2MB", "--threads", "2"];

/// A test's folder with a checkpoint, its conversion by nobody disturbed, and how long that took.
struct Disturbed {
    work: Work,
    whole: Vec<(String, Vec<u8>)>,
    span: Duration,
}

impl Disturbed {
    fn new() -> Self {
        let work = Work::new();
        llama::write(&work, "source");
        let begun = Instant::now();
        work.mlxq(&arguments("whole", &[])).good();
        let span = begun.elapsed();
        let whole = content(&work.path("whole"));
        assert!(whole.iter().filter(|(name, _)| name.ends_with(".safetensors")).count() > 3);
        std::fs::remove_dir_all(work.path("whole")).expect("removed");
        Self { work, whole, span }
    }

    fn start(&self, more: &[&str]) -> Running {
        Running::start(&self.work, &arguments("out", more))
    }

    fn journal(&self) -> PathBuf {
        self.work.path(".out.partial/journal")
    }

    /// Expects the undisturbed conversion's bytes at the target, and nothing beside it.
    fn finished(&self) {
        same(&content(&self.work.path("out")), &self.whole);
        assert_eq!(self.work.names(), ["out", "source"]);
    }

    /// Kills a conversion that has written a part, and expects that part to be there.
    fn killed_half_way(&self, lines: usize) {
        let mut running = self.start(&[]);
        assert!(running.has_noted(&self.journal(), lines), "too quick to be killed");
        assert_eq!(running.kill(), None);
        assert!(journal(&self.journal()).len() >= lines);
    }
}

fn arguments<'a>(target: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&CONVERT[..], &["--mlx-path", target], more].concat()
}

/// Expects each block once: what an attempt had noted, the next ones have not converted again.
fn each_once(lines: &[String]) {
    let mut blocks: Vec<_> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    blocks.sort_unstable();
    let all = blocks.len();
    blocks.dedup();
    assert_eq!(blocks.len(), all, "a block was converted again");
}

#[test]
fn a_hundred_kills_leave_nothing_half_done() {
    let disturbed = Disturbed::new();
    let work = &disturbed.work;
    let mut random = Random(20_261_125);
    let (mut kills, mut resumed, mut noted) = (0, 0, Vec::new());
    while kills < KILLS {
        let running = disturbed.start(&[]);
        std::thread::sleep(disturbed.span.mul_f64(random.fraction()));
        match running.kill() {
            None => kills += 1,
            code => assert_eq!(code, Some(0)),
        }
        if work.path("out").exists() {
            // It was finished, by this attempt or, where that one was killed just after, before it.
            same(&content(&work.path("out")), &disturbed.whole);
            work.mlxq(&arguments("out", &[])).good();
            disturbed.finished();
            std::fs::remove_dir_all(work.path("out")).expect("removed");
            noted.clear();
            continue;
        }
        let now = journal(&disturbed.journal());
        assert_eq!(now.get(..noted.len()), Some(&noted[..]), "the journal was begun again");
        each_once(&now);
        resumed += usize::from(!noted.is_empty() && now.len() > noted.len());
        noted = now;
    }
    work.mlxq(&arguments("out", &[])).good();
    disturbed.finished();
    assert!(resumed > 0, "no attempt went on with another's work");
}

#[test]
fn a_killed_replacement_leaves_the_old_folder_or_the_new() {
    let disturbed = Disturbed::new();
    let work = &disturbed.work;
    work.mlxq(&arguments("out", &["--q-bits", "4"])).good();
    let old = content(&work.path("out"));
    let mut random = Random(7);
    let mut replaced = 0;
    for _ in 0..20 {
        let running = disturbed.start(&["--no-skip"]);
        std::thread::sleep(disturbed.span.mul_f64(1.2 * random.fraction()));
        running.kill();
        // Between two renames, the old folder waits for the next run.
        let waiting = work.path(".out.partial/old");
        let target = work.path("out");
        let here = if target.exists() { target } else { waiting };
        let found = content(&here);
        if found == old {
            continue;
        }
        same(&found, &disturbed.whole);
        replaced += 1;
        work.mlxq(&arguments("out", &["--q-bits", "4", "--no-skip"])).good();
        same(&content(&work.path("out")), &old);
        assert_eq!(work.names(), ["out", "source"]);
    }
    if replaced == 0 {
        work.mlxq(&arguments("out", &["--no-skip"])).good();
        disturbed.finished();
    }
}

#[test]
fn between_two_renames_the_old_folder_is_put_back() {
    let disturbed = Disturbed::new();
    let work = &disturbed.work;
    work.mlxq(&arguments("out", &[])).good();
    // What a process leaves that is killed there; the kill itself cannot be timed.
    let partial = work.path(".out.partial");
    std::fs::create_dir_all(partial.join("new")).expect("made");
    std::fs::write(partial.join("lock"), "1").expect("written");
    std::fs::rename(work.path("out"), partial.join("old")).expect("moved");
    let done = work.mlxq(&arguments("out", &[])).good();
    assert!(done.stderr.contains("already converted"), "{}", done.stderr);
    same(&content(&work.path("out")), &disturbed.whole);
}

#[test]
fn spoilt_leftovers_are_not_believed() {
    let disturbed = Disturbed::new();
    let work = &disturbed.work;
    let spoil = |path: PathBuf, every: usize| {
        let mut bytes = std::fs::read(&path).expect("a file");
        bytes.iter_mut().step_by(every).for_each(|byte| *byte ^= 1);
        std::fs::write(path, bytes).expect("spoilt");
    };
    let first = "model-00001-of-";
    for fault in ["a byte of every page", "a journal of other sums", "a cut file", "no file"] {
        disturbed.killed_half_way(20);
        let new = work.path(".out.partial/new");
        let files = std::fs::read_dir(&new).expect("a folder");
        let mut files = files.map(|entry| entry.expect("an entry").path());
        match fault {
            "a byte of every page" => files.for_each(|path| spoil(path, 4096)),
            "a journal of other sums" => spoil(disturbed.journal(), 7),
            _ => {
                let shard = files.find(|path| path.to_string_lossy().contains(first));
                let shard = shard.expect("the first shard");
                match fault {
                    "no file" => std::fs::remove_file(shard).expect("removed"),
                    _ => std::fs::write(shard, "cut").expect("cut"),
                }
            }
        }
        work.mlxq(&arguments("out", &[])).good();
        disturbed.finished();
        std::fs::remove_dir_all(work.path("out")).expect("removed");
    }
}

#[test]
fn of_two_processes_on_one_target_the_second_is_refused() {
    let disturbed = Disturbed::new();
    let mut first = disturbed.start(&[]);
    assert!(first.has_noted(&disturbed.journal(), 1));
    first.signal("STOP");
    let second = disturbed.work.mlxq(&arguments("out", &["--quiet"]));
    first.signal("CONT");
    second.refused(3, &[".out.partial", &format!("in use by process {}", first.id())]);
    assert_eq!(second.stderr.trim().lines().count(), 1, "{}", second.stderr);
    first.end().good();
    disturbed.finished();
}
