//! Disks that are full or cannot be written: senders are told to come again, nothing is lost, and it goes on by itself.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Program, Scene, until};

const SOON: Duration = Duration::from_secs(120);

/// The words before a command that has a small disk of its own at `folder`, in a mount namespace that ends with it. `None` where
/// this user may not make one.
fn small_disk(folder: &Path, options: &str) -> Option<Vec<String>> {
    small_disk_with(folder, options, "true")
}

/// As [`small_disk`], with something done before the command.
fn small_disk_with(folder: &Path, options: &str, before: &str) -> Option<Vec<String>> {
    let script = format!("mount -t tmpfs -o {options} tmpfs '{}' && {{ {before}; exec \"$@\"; }}", folder.display());
    let ways = [&["--mount"][..], &["--user", "--map-root-user", "--mount"]];
    for way in ways {
        let words = [&["unshare"][..], way, &["sh", "-c", &script, "sh"]].concat();
        let tried = Command::new(words[0]).args(&words[1..]).arg("true").stdin(Stdio::null()).stderr(Stdio::null()).status();
        if tried.is_ok_and(|status| status.success()) {
            return Some(words.into_iter().map(str::to_owned).collect());
        }
    }
    println!("left out: this user may not mount anything");
    None
}

/// The small disk as it is seen from outside.
fn inside(program: &Program, folder: &Path) -> PathBuf {
    Path::new("/proc").join(program.id().to_string()).join("root").join(folder.strip_prefix("/").unwrap())
}

/// Fills a disk to its last byte.
fn fill(file: &Path) {
    let mut file = std::fs::File::create(file).unwrap();
    for piece in [65_536, 4_096, 1] {
        while file.write_all(&vec![b'x'; piece]).is_ok() {}
    }
}

/// Posts until an event is refused; what was taken in, and the refusal.
async fn until_refused(scene: &Scene, incident: &str) -> (Vec<String>, String) {
    let (mut taken, details, begun) = (Vec::new(), "x".repeat(20_000), Instant::now());
    for n in 0.. {
        assert!(begun.elapsed() < SOON, "never refused");
        let Some(answer) = scene.answer(0, incident, n, &details).await else { continue };
        if answer.status != 202 {
            return (taken, answer.text);
        }
        taken.push(format!("{incident}/{n}"));
    }
    unreachable!("numbers do not end")
}

/// Posts until an event is taken in, as a sender that was told to come again.
async fn until_taken(scene: &Scene, incident: &str) {
    let begun = Instant::now();
    while scene.post(0, incident, 0).await != Some(202) {
        assert!(begun.elapsed() < SOON, "it does not recover:\n{}", scene.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn assert_come_again(scene: &Scene, refusal: &str, why: &str) {
    let lower = refusal.to_lowercase();
    assert!(lower.starts_with("http/1.1 503") && lower.contains("\r\nretry-after: "), "{refusal}");
    let ready = scene.admin("/readyz").await.expect("an answer");
    assert!(ready.status == 503 && ready.text.to_lowercase().contains(why) && ready.text.contains("/disk/"), "{}", ready.text);
}

/// Waits until all of these are shown, once each.
async fn assert_shown(scene: &Scene, events: &[String]) {
    until("all is shown", SOON, || events.iter().all(|event| scene.read(0).contains(event))).await;
    let shown = scene.read(0);
    assert!(events.iter().all(|event| shown.iter().filter(|other| *other == event).count() == 1), "{shown:?}");
    assert_eq!(scene.admin("/readyz").await.expect("an answer").status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_tells_senders_to_come_again_and_goes_on_when_there_is_room() {
    let scene = Scene::of(1).await;
    let Some(words) = small_disk(&scene.disk(), "size=4m") else { return };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut program = scene.start_under(&words).await;
    until_taken(&scene, "before").await;
    let ballast = inside(&program, &scene.disk()).join("ballast");
    fill(&ballast);
    let (mut taken, refusal) = until_refused(&scene, "full").await;
    assert_come_again(&scene, &refusal, "no space").await;
    std::fs::remove_file(ballast).unwrap();
    until_taken(&scene, "after").await;
    taken.extend(["before/0".to_owned(), "after/0".to_owned()]);
    assert_shown(&scene, &taken).await;
    program.kill();
}

/// Makes a disk that was mounted read-only one that can be written.
fn remount(program: &Program, folder: &Path) {
    let (pid, folder) = (program.id().to_string(), folder.to_str().unwrap());
    let ways = [&["--mount"][..], &["--user", "--preserve-credentials", "--mount"]];
    let done = ways.iter().any(|way| {
        let words = [&["--target", &pid][..], way, &["mount", "-o", "remount,rw", folder]].concat();
        Command::new("nsenter").args(words).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    });
    assert!(done, "the disk cannot be made writable");
}

/// What a program that was started on a disk that takes no data answers everybody.
async fn assert_waits(scene: &Scene, why: &str) {
    let refusal = scene.answer(0, "early", 0, "").await.expect("an answer");
    assert_come_again(scene, &refusal.text, why).await;
    assert_eq!(scene.admin("/healthz").await.expect("an answer").status, 200, "a restart would not help");
    let metrics = scene.admin("/metrics").await.expect("an answer");
    assert!(metrics.text.contains("\nincident_sink_ready 0"), "{}", metrics.text);
    let console = scene.admin("/").await.expect("an answer");
    assert!(console.status == 503 && console.text.contains("/disk/") && console.text.contains("<nav"), "{}", console.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_starts_on_a_full_disk_waits_for_room() {
    let scene = Scene::of(1).await;
    let ballast = format!("cat /dev/zero 2>/dev/null > '{}'", scene.disk().join("ballast").display());
    let Some(words) = small_disk_with(&scene.disk(), "size=4m", &ballast) else { return };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut program = scene.start_under(&words).await;
    assert_waits(&scene, "no space").await;
    std::fs::remove_file(inside(&program, &scene.disk()).join("ballast")).unwrap();
    until_taken(&scene, "after").await;
    assert_shown(&scene, &["after/0".to_owned()]).await;
    let metrics = scene.admin("/metrics").await.expect("an answer").text;
    let commits = metrics.lines().find_map(|line| line.strip_prefix("incident_sink_outbox_commit_duration_seconds_count "));
    assert!(commits.is_some_and(|commits| commits != "0"), "{metrics}");
    program.terminate();
    assert!(program.ended(SOON).await.expect("it ends").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_starts_on_a_read_only_disk_waits_and_makes_its_key_later() {
    let scene = Scene::of(1).await;
    let config = scene.folder.path().join("incident-sink.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replacen("[server]\n", "[server]\npublic_url = \"https://incidents.example.com\"\n", 1);
    // Nobody answers there: what people asked for would wait.
    std::fs::write(&config, text + "[ilert]\napi_url = \"http://127.0.0.1:9/api\"\napi_key = \"SECof-ilert\"\n").unwrap();
    let Some(words) = small_disk(&scene.disk(), "size=4m,ro") else { return };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut program = scene.start_under(&words).await;
    assert_waits(&scene, "read-only").await;
    remount(&program, &scene.disk());
    until_taken(&scene, "42").await;
    assert_shown(&scene, &["42/0".to_owned()]).await;
    let card = scene.group.messages("ops0").pop().unwrap().raw.to_string();
    assert!(card.contains("https://incidents.example.com/respond/"), "{card}");
    assert!(inside(&program, &scene.disk()).join("respond.key").exists());
    program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_waits_for_its_disk_stops_when_it_is_told_to() {
    let scene = Scene::of(1).await;
    let Some(words) = small_disk(&scene.disk(), "size=4m,ro") else { return };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut program = scene.start_under(&words).await;
    assert_waits(&scene, "read-only").await;
    program.terminate();
    assert!(program.ended(SOON).await.expect("it ends").success(), "{}", scene.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_waited_for_a_disk_with_a_damaged_outbox_ends_and_says_so() {
    let scene = Scene::of(1).await;
    let (disk, outbox) = (scene.disk(), scene.disk().join("outbox.db"));
    let damage = format!("head -c 8192 /dev/zero | tr '\\0' x > '{}'; mount -o remount,ro '{}'", outbox.display(), disk.display());
    let Some(words) = small_disk_with(&disk, "size=4m", &damage) else { return };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut program = scene.start_under(&words).await;
    assert_waits(&scene, "read-only").await;
    remount(&program, &disk);
    let status = program.ended(SOON).await.expect("it ends: waiting does not help");
    assert!(status.code() == Some(1) && scene.log().contains("is damaged"), "{status}: {}", scene.log());
}

/// A file that even root cannot write, for a while.
struct Immutable(PathBuf);

impl Immutable {
    /// `None` where the file system knows no such thing, or this user may not.
    fn set(file: PathBuf) -> Option<Immutable> {
        let set = chattr("+i", &file);
        set.then_some(Immutable(file))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        chattr("-i", &self.0);
    }
}

fn chattr(flag: &str, file: &Path) -> bool {
    Command::new("chattr").arg(flag).arg(file).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_cannot_be_written_any_more_is_waited_out() {
    let scene = Scene::of(1).await;
    let mut program = scene.start().await;
    until_taken(&scene, "before").await;
    let Some(immutable) = Immutable::set(scene.disk().join("outbox.db-wal")) else {
        println!("left out: this user cannot make a file immutable here");
        return;
    };
    let (mut taken, refusal) = until_refused(&scene, "locked").await;
    assert_come_again(&scene, &refusal, "read-only").await;
    drop(immutable);
    until_taken(&scene, "after").await;
    taken.extend(["before/0".to_owned(), "after/0".to_owned()]);
    assert_shown(&scene, &taken).await;
    program.kill();
}
