//! What is kept on disk, and what is not believed of it.

use super::super::load::digest;
use super::*;

fn record(bytes: &[u8], at: i64) -> Record {
    Record { digest: digest(bytes), version: format!("1.0.{at}"), at, who: Who::Cli, signature: None, failed: None }
}

fn store() -> (tempfile::TempDir, Store, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chat.wasm");
    (folder, Store::beside(&file), file)
}

#[test]
fn the_last_five_versions_are_kept_and_the_file_is_the_current_one() {
    let (_folder, store, file) = store();
    assert_eq!(store.index().unwrap().current, None);
    for at in 0..7u8 {
        store.install(&[at; 9], record(&[at; 9], i64::from(at))).unwrap();
    }
    let index = store.index().unwrap();
    assert_eq!(index.versions.iter().map(|record| record.at).collect::<Vec<_>>(), [6, 5, 4, 3, 2]);
    assert_eq!(index.current, Some(digest(&[6; 9])));
    assert_eq!(fs::read(&file).unwrap(), [6; 9]);
    assert_eq!(store.read(&digest(&[2; 9])).unwrap(), [2; 9]);
    assert!(store.read(&digest(&[1; 9])).is_err());
    let components = fs::read_dir(&store.folder).unwrap().flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "wasm"));
    assert_eq!(components.count(), 5);
}

#[test]
fn going_back_walks_from_version_to_version_and_leaves_out_those_that_failed() {
    let (_folder, store, file) = store();
    for at in 0..4u8 {
        store.install(&[at], record(&[at], i64::from(at))).unwrap();
    }
    let before = || {
        let index = store.index().unwrap();
        index.before(index.current.as_deref().unwrap()).map(|record| record.at)
    };
    assert_eq!(before(), Some(2));
    store.go_back(&digest(&[2]), Some((&digest(&[3]), "it crashed"))).unwrap();
    assert_eq!((fs::read(&file).unwrap(), before()), (vec![2], Some(1)));
    store.go_back(&digest(&[1]), Some((&digest(&[0]), "it crashed too"))).unwrap();
    assert_eq!(before(), None);
    assert_eq!(store.index().unwrap().find(&digest(&[3])).unwrap().failed.as_deref(), Some("it crashed"));
}

#[test]
fn a_kept_version_that_was_changed_is_not_used() {
    let (_folder, store, _) = store();
    store.install(b"good", record(b"good", 1)).unwrap();
    fs::write(store.component(&digest(b"good")), b"evil").unwrap();
    assert!(matches!(store.read(&digest(b"good")), Err(StoreError::Changed { .. })));
}

#[test]
fn a_damaged_and_a_newer_index_are_told_apart() {
    let (_folder, store, _) = store();
    store.install(b"good", record(b"good", 1)).unwrap();
    fs::write(store.folder.join("index.json"), "{").unwrap();
    assert!(matches!(store.index(), Err(StoreError::Damaged { .. })));
    fs::write(store.folder.join("index.json"), r#"{"form":2,"current":null,"versions":[]}"#).unwrap();
    assert!(matches!(store.index(), Err(StoreError::Newer { form: 2, .. })));
}

#[cfg(unix)]
#[test]
fn the_store_is_its_owners_alone_and_leaves_no_temporary_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, store, file) = store();
    store.install(b"good", Record { signature: Some("sig".into()), ..record(b"good", 1) }).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&store.folder), 0o700);
    assert_eq!(mode(&store.component(&digest(b"good"))), 0o600);
    assert_eq!(fs::read(signature::path_of(&file)).unwrap(), b"sig");
    let names = fs::read_dir(folder.path()).unwrap().flatten().count();
    assert_eq!(names, 3, "the file, its signature, the store");
}
