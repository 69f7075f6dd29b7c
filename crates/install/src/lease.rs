//! One installer at a time on a volume that has no locks: a file that its holder never stops changing.
//!
//! Nobody's clock is compared with another's: who waits looks whether the text changes. A holder that was killed is
//! silent, and its lease lapses. One that was only slow finds out before it makes anything visible.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime};

use tarball::{Dir, FileMode};

use crate::RootError;
use crate::lock::{Wait, Waiting};

/// The file's name in the root. It is there only while somebody works on it.
pub(crate) const LEASE: &str = ".butler-plugins.lease";
/// The name it is moved to when it has lapsed.
const LAPSED: &str = ".butler-plugins.lease.lapsed";
/// How often the holder changes it.
const BEAT: Duration = Duration::from_secs(1);
/// How long it may stay the same.
const LAPSE: Duration = Duration::from_secs(10);
/// How long others that found the same lease lapsed may take to act on it.
const SETTLE: Duration = Duration::from_secs(2);
/// Most bytes of a lease.
const LIMIT: u64 = 512;

/// A lease, kept alive by a thread until dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    root: Dir,
    /// Its second line, which nobody else's has.
    identity: String,
    /// Whose lease had lapsed before.
    pub(crate) lapsed: Option<String>,
    /// Dropped, it ends the thread.
    _beating: Sender<()>,
}

impl Lease {
    /// Takes the lease, waiting for another holder up to the timeout.
    pub(crate) fn take(root: &Dir, waiting: &Waiting<'_>, wait: &mut Wait<'_>) -> Result<Self, RootError> {
        let unwritable = |source| RootError::Unwritable { act: "take the lease", source };
        let since_epoch = waiting.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let identity = format!("{} #{}", waiting.holder, since_epoch.as_nanos());
        let mut watched = Watched { text: None, since: waiting.clock.uptime() };
        let mut lapsed = None;
        loop {
            match root.create_file(LEASE, FileMode::Plain) {
                Ok(file) => {
                    let begun = write(&file, &identity).and_then(|()| {
                        if lapsed.is_some() {
                            // Who waited as long may have been about to move the old one away, and have moved this.
                            waiting.clock.sleep(SETTLE, waiting.stop);
                        }
                        let is_ours = holds(root, &identity)?;
                        is_ours.then(|| Ok((root.try_clone()?, keep_alive(file)?))).transpose()
                    });
                    match begun {
                        Ok(Some((root, beating))) => {
                            let lease = Self { root, identity, lapsed, _beating: beating };
                            // A stop may have cut the settling short.
                            let has_settled = lease.lapsed.is_none() || !waiting.stop.is_asked();
                            return if has_settled { Ok(lease) } else { Err(RootError::Interrupted) };
                        }
                        Ok(None) => {}
                        Err(source) => {
                            // Nobody keeps it alive, and others would wait for it.
                            drop(root.remove_file(LEASE));
                            return Err(unwritable(source));
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(unwritable(source)),
            }
            // None is there to read when it was given back just now, or when the volume contradicts itself.
            let text = read(root, LEASE).map_err(unwritable)?.unwrap_or_default();
            let holder = holder_of(&text);
            let is_silent = watched.is_silent(&text, waiting.clock.uptime());
            if is_silent && move_away(root, &text).map_err(unwritable)? {
                lapsed = Some(holder);
            } else {
                wait.once_more(waiting, holder)?;
            }
        }
    }

    /// Makes sure that nobody has taken the root over.
    ///
    /// # Errors
    /// When somebody has, or when it cannot be seen.
    pub(crate) fn check(&self) -> io::Result<()> {
        if holds(&self.root, &self.identity)? {
            return Ok(());
        }
        let why = "another installer has taken the root over, as this one was not heard of for too long";
        Err(io::Error::other(why))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let give_back = || if holds(&self.root, &self.identity)? { self.root.remove_file(LEASE) } else { Ok(()) };
        // Once more after a failure: if it stays, the next run waits until it lapses.
        drop(give_back().or_else(|_| give_back()));
    }
}

/// Somebody else's lease.
struct Watched {
    text: Option<String>,
    since: Duration,
}

impl Watched {
    /// Whether it has been the same for too long.
    fn is_silent(&mut self, text: &str, now: Duration) -> bool {
        if self.text.as_deref() != Some(text) {
            *self = Self { text: Some(text.to_owned()), since: now };
        }
        now.saturating_sub(self.since) >= LAPSE
    }
}

fn keep_alive(file: File) -> io::Result<Sender<()>> {
    let (sender, ended) = channel::<()>();
    std::thread::Builder::new().spawn(move || {
        let mut beats = 0_u32;
        while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
            beats = beats.wrapping_add(1);
            // Whether it still is ours is found out before it matters.
            drop(file.write_all_at(count(beats).as_bytes(), 0).and_then(|()| file.sync_data()));
        }
    })?;
    Ok(sender)
}

fn write(mut file: &File, identity: &str) -> io::Result<()> {
    file.write_all(format!("{}\n{identity}\n", count(0)).as_bytes())?;
    // NFS keeps what is written to an open file to itself until it is synced, and nobody else would see a change.
    file.sync_data()
}

fn count(beats: u32) -> String {
    format!("{beats:010}")
}

fn read(root: &Dir, name: &str) -> io::Result<Option<String>> {
    // Opened anew each time: NFS shows what others wrote to whoever opens a file.
    match root.open_file(name) {
        Ok(file) => {
            let mut text = Vec::new();
            file.take(LIMIT).read_to_end(&mut text)?;
            Ok(Some(String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whose lease there is; whether it has lapsed shows only in time.
pub(crate) fn holder(root: &Dir) -> io::Result<Option<String>> {
    Ok(read(root, LEASE)?.as_deref().map(holder_of))
}

fn holder_of(text: &str) -> String {
    let holder = text.lines().nth(1).and_then(|identity| identity.rsplit_once(" #")).map(|(holder, _)| holder);
    holder.filter(|holder| !holder.is_empty()).unwrap_or("another installer").to_owned()
}

fn holds(root: &Dir, identity: &str) -> io::Result<bool> {
    Ok(read(root, LEASE)?.is_some_and(|text| text.lines().nth(1) == Some(identity)))
}

/// Moves a lapsed lease out of the way. Another one that has taken its place meanwhile is put back.
fn move_away(root: &Dir, lapsed: &str) -> io::Result<bool> {
    match root.rename(LEASE, root, LAPSED) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        moved => moved?,
    }
    let is_the_one = read(root, LAPSED)?.is_none_or(|text| text == lapsed);
    if !is_the_one {
        // Whether it worked is found out by its owner before it matters.
        drop(put_back(root));
    }
    match root.remove_file(LAPSED) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(is_the_one),
        removed => removed.map(|()| is_the_one),
    }
}

/// Gives a moved lease its name back, unless the name is taken by now: then it belongs to a third one.
fn put_back(root: &Dir) -> io::Result<()> {
    match root.hard_link(LAPSED, root, LEASE) {
        // A volume without locks may be one without links, too.
        Err(_) if root.kind(LEASE)?.is_none() => root.rename(LAPSED, root, LEASE),
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use transport::{Clock, Deadline, Stop};

    /// A clock on which waiting takes no time, and during which something may happen.
    struct Jumps<F> {
        uptime: Mutex<Duration>,
        meanwhile: F,
    }

    impl<F: Fn(Duration) + Send + Sync> Clock for Jumps<F> {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + self.uptime()
        }

        fn uptime(&self) -> Duration {
            *self.uptime.lock().unwrap()
        }

        fn sleep(&self, duration: Duration, _: &Stop) {
            let now = {
                let mut uptime = self.uptime.lock().unwrap();
                *uptime += duration;
                *uptime
            };
            (self.meanwhile)(now);
        }
    }

    fn root() -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        let root = Dir::open(folder.path()).unwrap();
        (folder, root)
    }

    /// Takes the lease; tells whom it waited for, and how long.
    fn take(root: &Dir, meanwhile: impl Fn(Duration) + Send + Sync) -> (Result<Lease, RootError>, String, Duration) {
        take_unless(&Stop::new(), root, meanwhile)
    }

    fn take_unless(
        stop: &Stop,
        root: &Dir,
        meanwhile: impl Fn(Duration) + Send + Sync,
    ) -> (Result<Lease, RootError>, String, Duration) {
        let clock = Jumps { uptime: Mutex::default(), meanwhile };
        let mut told = String::new();
        let mut on_wait = |holder: &str| told.push_str(holder);
        let waiting = Waiting { holder: "pod b", timeout: Duration::from_mins(10), clock: &clock, stop };
        let mut wait = Wait::new(Deadline::after(&clock, waiting.timeout), &mut on_wait);
        let taken = Lease::take(root, &waiting, &mut wait);
        (taken, told, clock.uptime())
    }

    fn put(root: &Dir, text: &str) {
        drop(root.remove_file(LEASE));
        root.create_file(LEASE, FileMode::Plain).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn names(root: &Dir) -> Vec<String> {
        root.entries().unwrap().map(|entry| entry.unwrap().0.into_string().unwrap()).collect()
    }

    #[test]
    fn a_free_root_is_leased_at_once_and_given_back() {
        let (_folder, root) = root();
        let (lease, told, waited) = take(&root, |_| ());
        lease.as_ref().unwrap().check().unwrap();
        assert_eq!((told.as_str(), waited), ("", Duration::ZERO));
        assert_eq!(names(&root), [LEASE]);
        drop(lease);
        assert_eq!(names(&root), [""; 0]);
    }

    #[test]
    fn a_lease_that_its_holder_changes_is_waited_for() {
        let (_folder, root) = root();
        put(&root, "0\npod a #1\n");
        let (lease, told, waited) = take(&root, |now| put(&root, &format!("{}\npod a #1\n", now.as_secs())));
        assert!(matches!(lease, Err(RootError::LockTimeout { holder, .. }) if holder == "pod a"));
        assert_eq!((told.as_str(), waited), ("pod a", Duration::from_mins(10)));
        assert_eq!(read(&root, LEASE).unwrap().unwrap(), "600\npod a #1\n");
    }

    #[test]
    fn a_lease_that_nobody_changes_lapses() {
        for text in ["0\npod a #1\n", "", "\n", "0\npod a", "\u{fffd}"] {
            let (_folder, root) = root();
            put(&root, text);
            let (lease, _, waited) = take(&root, |_| ());
            let lease = lease.unwrap();
            assert_eq!(lease.lapsed, Some(holder_of(text)), "{text}");
            lease.check().unwrap();
            assert_eq!(waited, LAPSE + SETTLE);
            assert_eq!(names(&root), [LEASE], "{text}");
        }
    }

    #[test]
    fn a_lease_that_is_lost_while_it_settles_is_not_had() {
        let (_folder, root) = root();
        put(&root, "0\npod a #1\n");
        let (lease, told, _) = take(&root, |now| {
            if now > LAPSE {
                put(&root, &format!("{}\npod c #1\n", now.as_millis()));
            }
        });
        assert!(matches!(lease, Err(RootError::LockTimeout { holder, .. }) if holder == "pod c"), "{told}");
    }

    #[test]
    fn a_holder_learns_that_another_one_took_over() {
        let (_folder, root) = root();
        let lease = take(&root, |_| ()).0.unwrap();
        put(&root, "0\npod c #1\n");
        assert!(lease.check().unwrap_err().to_string().contains("taken the root over"));
        drop(lease);
        assert_eq!(read(&root, LEASE).unwrap().unwrap(), "0\npod c #1\n", "somebody else's lease was removed");
    }

    #[test]
    fn a_lease_that_was_moved_by_mistake_is_put_back() {
        let (_folder, root) = root();
        put(&root, "0\npod c #1\n");
        assert!(!move_away(&root, "7\npod a #1\n").unwrap());
        assert_eq!(names(&root), [LEASE]);
        assert!(move_away(&root, "0\npod c #1\n").unwrap());
        assert!(!move_away(&root, "0\npod c #1\n").unwrap());
        assert_eq!(names(&root), [""; 0]);
    }

    #[test]
    fn a_moved_lease_is_put_back_where_there_are_no_links_and_displaces_none() {
        let (_folder, root) = root();
        // A folder cannot be linked anywhere.
        root.create_dir(LAPSED).unwrap();
        put_back(&root).unwrap();
        assert_eq!(root.kind(LEASE).unwrap(), Some(tarball::Kind::Directory));
        root.remove_dir(LEASE).unwrap();
        root.create_dir(LAPSED).unwrap();
        put(&root, "0\npod c #1\n");
        put_back(&root).unwrap_err();
        assert_eq!(read(&root, LEASE).unwrap().unwrap(), "0\npod c #1\n");
    }

    #[test]
    fn a_lease_that_a_stop_kept_from_settling_is_not_had() {
        let (_folder, root) = root();
        put(&root, "0\npod a #1\n");
        let stop = Stop::new();
        let ask = stop.clone();
        let lease = take_unless(&stop, &root, move |now| {
            if now > LAPSE {
                ask.ask();
            }
        });
        assert!(matches!(lease.0, Err(RootError::Interrupted)), "{lease:?}");
        assert_eq!(names(&root), [""; 0]);
    }

    #[test]
    fn a_lease_is_changed_again_and_again() {
        let (_folder, root) = root();
        let _lease = take(&root, |_| ()).0.unwrap();
        let first = read(&root, LEASE).unwrap().unwrap();
        let started = std::time::Instant::now();
        while read(&root, LEASE).unwrap().unwrap() == first {
            assert!(started.elapsed() < LAPSE, "the holder is silent");
            std::thread::yield_now();
        }
        assert_eq!(holder_of(&read(&root, LEASE).unwrap().unwrap()), "pod b");
    }
}
