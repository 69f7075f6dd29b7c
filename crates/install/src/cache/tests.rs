//! What a folder that anyone may spoil can do to a run, and what it cannot.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use testkit::sri;

const MAX_ARTIFACT: u64 = 1000;

/// The cache as a new run finds it.
fn open(folder: &Path, max_bytes: u64) -> Cache {
    try_open(folder, max_bytes, self::folder().path()).unwrap()
}

fn try_open(folder: &Path, max_bytes: u64, root: &Path) -> io::Result<Cache> {
    let caching = Caching { folder: folder.to_owned(), max_bytes, max_artifact_bytes: MAX_ARTIFACT };
    Cache::open(&caching, &Dir::open(root).unwrap(), &Stop::new())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn spool() -> io::Result<Spool> {
    tempfile::tempfile().map(Spool::new)
}

fn source(name: &str) -> Source {
    Source::parse(&format!("oci://example.com/my-org/{name}")).unwrap()
}

fn pinned(bytes: &[u8]) -> Integrity {
    Integrity::parse(&sri(bytes)).unwrap()
}

fn name(bytes: &[u8]) -> Name {
    Name::of(&source("x:1"), &pinned(bytes))
}

fn verified(bytes: &[u8]) -> Verified<Spool> {
    let mut writer = HashingWriter::new(spool().unwrap());
    writer.write_all(bytes).unwrap();
    writer.finish().verify(&pinned(bytes)).unwrap()
}

fn keep(cache: &Cache, bytes: &[u8]) -> Result<(), CacheError> {
    cache.keep(&name(bytes), &mut verified(bytes), &Stop::new())
}

fn take(cache: &Cache, bytes: &[u8]) -> Result<Option<Vec<u8>>, CacheError> {
    let taken = cache.take(&name(bytes), &pinned(bytes), spool, &Stop::new())?;
    Ok(taken.map(|mut artifact| {
        let mut read = Vec::new();
        artifact.rewind().unwrap();
        artifact.read_to_end(&mut read).unwrap();
        read
    }))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Puts a file into the folder by hand, changed that long ago.
#[expect(clippy::disallowed_methods, reason = "somebody else works with paths, and by the machine's clock")]
fn put(folder: &Path, name: &str, bytes: &[u8], age: Duration) {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    File::options().append(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn what_is_kept_is_taken_by_every_later_run() {
    let folder = folder();
    keep(&open(folder.path(), 100), b"artifact").unwrap();
    let Name(file) = name(b"artifact");
    assert_eq!(names(folder.path()), std::slice::from_ref(&file));
    let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    for _ in 0..2 {
        let cache = open(folder.path(), 100);
        assert_eq!(take(&cache, b"artifact").unwrap().as_deref(), Some(&b"artifact"[..]));
        assert_eq!(take(&cache, b"another").unwrap(), None);
    }
}

#[test]
fn no_source_vouches_for_bytes_of_another_one() {
    let (folder, pinned) = (folder(), pinned(b"artifact"));
    let cache = open(folder.path(), 100);
    keep(&cache, b"artifact").unwrap();
    for other in ["x:2", "y:1", "x:1!folder"] {
        let taken = cache.take(&Name::of(&source(other), &pinned), &pinned, spool, &Stop::new());
        assert!(taken.unwrap().is_none(), "{other}");
    }
}

#[test]
fn other_bytes_are_found_out_and_removed() {
    let good = b"artifact";
    for (what, bytes) in [("other", &b"artefact"[..]), ("cut", b"art"), ("empty", b""), ("longer", b"artifact!")] {
        let folder = folder();
        put(folder.path(), &name(good).0, bytes, Duration::ZERO);
        let cache = open(folder.path(), 100);
        let why = take(&cache, good).unwrap_err();
        assert!(matches!(why, CacheError::Changed(_)), "{what}: {why}");
        assert_eq!(cache.remark(&why, &source("x:1")).unwrap().reason, "cache_corrupt", "{what}");
        assert_eq!(names(folder.path()), [""; 0], "{what}");
        keep(&cache, good).unwrap();
        assert!(take(&cache, good).unwrap().is_some(), "{what}");
    }
}

#[test]
fn what_is_no_file_is_never_followed_or_waited_for() {
    type Make = fn(&Path);
    let rows: [(&str, Make, usize); 4] = [
        ("link to the artifact", |at| std::os::unix::fs::symlink("/etc/hostname", at).unwrap(), 0),
        ("broken link", |at| std::os::unix::fs::symlink("gone", at).unwrap(), 0),
        ("pipe", |at| assert!(std::process::Command::new("mkfifo").arg(at).status().unwrap().success()), 0),
        (
            "folder",
            |at| Dir::open(at.parent().unwrap()).unwrap().create_dir(at.file_name().unwrap()).map(drop).unwrap(),
            1,
        ),
    ];
    for (what, make, left) in rows {
        let folder = folder();
        make(&folder.path().join(name(b"artifact").0));
        let cache = open(folder.path(), 100);
        let why = take(&cache, b"artifact").unwrap_err();
        assert!(matches!(why, CacheError::NoFile), "{what}: {why}");
        assert_eq!(names(folder.path()).len(), left, "{what}");
    }
}

#[test]
fn what_is_larger_than_an_artifact_may_be_is_not_read() {
    let (folder, artifact) = (folder(), vec![b'x'; 1001]);
    put(folder.path(), &name(&artifact).0, &artifact, Duration::ZERO);
    let cache = open(folder.path(), 10_000);
    let nobody_writes = || panic!("a spool was made for it");
    let taken = cache.take(&name(&artifact), &pinned(&artifact), nobody_writes, &Stop::new()).unwrap();
    assert!(taken.is_none());
    assert_eq!(names(folder.path()).len(), 1, "another installer may accept it");
}

#[test]
fn what_was_not_used_for_the_longest_time_makes_room() {
    let folder = folder();
    let day = Duration::from_hours(24);
    for (bytes, days) in [(b"artifact 1", 3), (b"artifact 2", 2), (b"artifact 3", 1)] {
        put(folder.path(), &name(bytes).0, bytes, day * days);
    }
    // Whoever takes one uses it.
    assert!(take(&open(folder.path(), 30), b"artifact 1").unwrap().is_some());
    keep(&open(folder.path(), 30), b"artifact 4").unwrap();
    let cache = open(folder.path(), 30);
    let is_there = |bytes: &[u8]| take(&cache, bytes).unwrap().is_some();
    assert!(is_there(b"artifact 1") && !is_there(b"artifact 2") && is_there(b"artifact 3") && is_there(b"artifact 4"));
}

#[test]
fn folder_never_holds_more_than_it_may() {
    let folder = folder();
    let total = || -> u64 {
        // Files come and go.
        let lens =
            std::fs::read_dir(folder.path()).unwrap().filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
        lens.sum()
    };
    let largest = Mutex::new(0_u64);
    // Several runs at once, with several workers each.
    std::thread::scope(|scope| {
        for run in 0..3 {
            let cache = Arc::new(open(folder.path(), 500));
            for worker in 0..3 {
                let (cache, largest) = (Arc::clone(&cache), &largest);
                scope.spawn(move || {
                    for n in 0..20 {
                        let artifact = format!("artifact {run} {worker} {n} {}", "x".repeat(80));
                        let kept = keep(&cache, artifact.as_bytes());
                        assert!(matches!(kept, Ok(()) | Err(CacheError::Full)), "{kept:?}");
                        let mut largest = largest.lock().unwrap();
                        *largest = total().max(*largest);
                    }
                });
            }
        }
    });
    assert!((100..=1000).contains(&*largest.lock().unwrap()), "{largest:?}");
    keep(&open(folder.path(), 500), b"the last one").unwrap();
    assert!(total() <= 500);
}

#[test]
fn list_that_is_larger_than_the_cache_keeps_what_fits() {
    let folder = folder();
    for _ in 0..2 {
        let cache = open(folder.path(), 20);
        let found = [b"artifact 1", b"artifact 2", b"artifact 3"].map(|bytes| take(&cache, bytes).unwrap().is_some());
        if found == [true, true, false] {
            return;
        }
        assert_eq!(found, [false; 3]);
        keep(&cache, b"artifact 1").unwrap();
        keep(&cache, b"artifact 2").unwrap();
        assert!(matches!(keep(&cache, b"artifact 3"), Err(CacheError::Full)));
        assert!(matches!(keep(&cache, b"artifact that is larger than the cache"), Err(CacheError::TooLarge)));
    }
    panic!("the second run did not find what the first one kept");
}

#[test]
fn nothing_is_removed_that_would_not_make_room_enough() {
    let folder = folder();
    put(folder.path(), &name(b"other").0, b"other", Duration::from_hours(1));
    let cache = open(folder.path(), 20);
    keep(&cache, b"artifact 1").unwrap();
    assert!(matches!(keep(&cache, b"artifact two"), Err(CacheError::Full)));
    assert_eq!(names(folder.path()).len(), 2);
    keep(&cache, b"artifact 2").unwrap();
    assert_eq!(names(folder.path()).len(), 2);
}

#[test]
fn unfinished_files_are_left_alone_until_nobody_writes_them() {
    let folder = folder();
    let [mine, yours] = [b"mine".as_slice(), b"yours"].map(|bytes| name(bytes).part());
    for (part, age) in [(&mine, 0), (&name(b"mine").part(), 11), (&yours, 0), (&name(b"his").part(), 11)] {
        put(folder.path(), part, b"half", Duration::from_mins(age));
    }
    keep(&open(folder.path(), 100), b"mine").unwrap();
    let mut expected = [name(b"mine").0, mine, yours];
    expected.sort();
    assert_eq!(names(folder.path()), expected);
    // They take room as well.
    assert!(matches!(keep(&open(folder.path(), 10), b"six by"), Err(CacheError::Full)));
}

#[test]
fn writer_that_was_stopped_for_long_touches_nobody_elses_file() {
    let folder = folder();
    let paused = open(folder.path(), 100);
    let (artifact, stop) = (name(b"artifact"), Stop::new());
    let part = artifact.part();
    drop(paused.shelf.reserve(&part, 8, &stop).unwrap());
    // Meanwhile somebody else takes it for abandoned, and is half-way through the same artifact.
    paused.shelf.remove(&part);
    let other = artifact.part();
    put(folder.path(), &other, b"arti", Duration::ZERO);
    assert!(paused.shelf.name(&part, artifact.0).is_err());
    paused.shelf.remove(&part);
    assert_eq!(names(folder.path()), [other]);
}

#[test]
fn folder_of_more_artifacts_than_are_remembered_is_emptied_all_the_same() {
    let folder = folder();
    for n in 0..MAX_ARTIFACTS + 10 {
        let age = Duration::from_secs(if n % 2 == 0 { 0 } else { 60 + n as u64 });
        put(folder.path(), &name(n.to_string().as_bytes()).0, b"0123456789", age);
    }
    let oldest = name((MAX_ARTIFACTS + 9).to_string().as_bytes()).0;
    let cache = open(folder.path(), 50);
    // One look removes what it remembers, which are the oldest ones.
    assert!(matches!(keep(&cache, b"artifact"), Err(CacheError::Full)));
    let left = names(folder.path());
    assert!(left.len() == 10 && !left.contains(&oldest), "{}", left.len());
    keep(&cache, b"artifact").unwrap();
    assert_eq!(names(folder.path()).len(), 5);
}

#[test]
fn folder_that_does_not_answer_is_given_up_and_told_once() {
    let folder = folder();
    let cache = Cache { patience: Duration::from_millis(40), ..open(folder.path(), 100) };
    // Whoever holds this is stuck on the volume.
    let stuck = cache.shelf.ledger();
    let why = keep(&cache, b"artifact").unwrap_err();
    assert!(matches!(&why, CacheError::Failed { act: "reserve room", .. }), "{why}");
    assert_eq!(cache.remark(&why, &source("x:1")).unwrap().reason, "cache_failed");
    drop(stuck);
    for why in [take(&cache, b"artifact").unwrap_err(), keep(&cache, b"another").unwrap_err()] {
        assert!(matches!(why, CacheError::Silent), "{why}");
        assert!(cache.remark(&why, &source("x:1")).is_none());
    }
}

#[test]
fn verified_bytes_are_used_though_the_cache_falls_silent() {
    let folder = folder();
    keep(&open(folder.path(), 100), b"artifact").unwrap();
    let cache = Cache { patience: Duration::from_millis(40), ..open(folder.path(), 100) };
    let stuck = cache.shelf.ledger();
    assert_eq!(take(&cache, b"artifact").unwrap().as_deref(), Some(&b"artifact"[..]));
    drop(stuck);
}

#[test]
fn stop_is_heard_while_the_folder_does_not_answer() {
    let folder = folder();
    let cache = Cache { patience: Duration::MAX, ..open(folder.path(), 100) };
    let stuck = cache.shelf.ledger();
    let stop = Stop::new();
    stop.ask();
    let kept = cache.keep(&name(b"artifact"), &mut verified(b"artifact"), &stop);
    assert!(matches!(kept, Err(CacheError::Stopped)), "{kept:?}");
    drop(stuck);
}

#[test]
fn folder_in_the_root_is_no_cache_whatever_its_path() {
    let root = folder();
    let below = Dir::open(root.path()).unwrap().create_dir("below").unwrap();
    drop(below.create_dir("deeper").unwrap());
    let elsewhere = folder();
    std::os::unix::fs::symlink(root.path(), elsewhere.path().join("link")).unwrap();
    for path in [root.path(), &root.path().join("below/deeper"), &elsewhere.path().join("link/below")] {
        let error = try_open(path, 100, root.path()).err().unwrap();
        assert_eq!(error.to_string(), "it is in the plugin root", "{}", path.display());
    }
    // A root may be in a folder that holds a cache.
    drop(try_open(root.path(), 100, &root.path().join("below")).unwrap());
}

#[test]
fn files_of_others_are_neither_counted_nor_removed() {
    let folder = folder();
    let others = ["README", &name(b"x").0[..128], &name(b"x").0.to_uppercase(), &format!("{}.bak", name(b"x").0)];
    for other in others {
        put(folder.path(), other, &[0; 1000], Duration::from_hours(99));
    }
    keep(&open(folder.path(), 10), b"artifact").unwrap();
    keep(&open(folder.path(), 10), b"another").unwrap();
    assert_eq!(names(folder.path()).len(), others.len() + 1);
}

#[test]
fn stop_ends_a_copy_and_leaves_nothing_half() {
    let folder = folder();
    let stop = Stop::new();
    stop.ask();
    let cache = open(folder.path(), 100);
    let kept = cache.keep(&name(b"artifact"), &mut verified(b"artifact"), &stop);
    assert!(matches!(kept, Err(CacheError::Stopped)));
    assert_eq!(names(folder.path()), [""; 0]);
    keep(&cache, b"artifact").unwrap();
    let taken = cache.take(&name(b"artifact"), &pinned(b"artifact"), spool, &stop);
    assert!(matches!(taken, Err(CacheError::Stopped)));
}

#[test]
fn what_is_wrong_with_the_folder_is_told_once() {
    let folder = folder();
    let cache = open(folder.path(), 100);
    let failed = |act, kind: io::ErrorKind| CacheError::Failed { act, source: kind.into() };
    let told = [
        failed("make a file", io::ErrorKind::StorageFull),
        failed("make a file", io::ErrorKind::StorageFull),
        failed("make a file", io::ErrorKind::PermissionDenied),
        failed("make a file", io::ErrorKind::ReadOnlyFilesystem),
    ]
    .map(|why| cache.remark(&why, &source("x:1")).is_some());
    assert_eq!(told, [true, false, true, false]);
}

#[test]
fn folder_must_be_there_and_be_itself() {
    let folder = folder();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("link")).unwrap();
    for missing in ["gone", "link"] {
        assert!(try_open(&folder.path().join(missing), 1, self::folder().path()).is_err(), "{missing}");
    }
}
