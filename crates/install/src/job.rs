//! What a run is given.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use config::Plan;
use tarball::Limits;
use transport::{Clock, Stop};

use crate::{IndexMemory, Local, Locking};

/// Everything a run needs besides the network and the log.
pub struct Job {
    /// What the file asks for.
    pub plan: Plan,
    /// The file's path, for the log.
    pub config_file: String,
    /// The folder that the portal scans.
    pub root: PathBuf,
    /// How many plugins are worked on at once; never more than there are.
    pub jobs: NonZeroUsize,
    /// What an archive may ask of us.
    pub limits: Limits,
    /// Where plugins come from that no server is asked for.
    pub local: Local,
    /// What the root is to remember of a catalog index once the plugins are visible: an index whose plugins cannot be
    /// installed is not the one to go by when it cannot be asked.
    pub index: Option<IndexMemory>,
    /// What is believed of plugins that are installed already.
    pub belief: Belief,
    /// Where artifacts are kept for other roots and later runs, if anywhere.
    pub caching: Option<Caching>,
    /// How to take the root's lock.
    pub locking: Locking,
    /// The clock of the run.
    pub clock: Arc<dyn Clock>,
    /// Asked when the run is to end early.
    pub stop: Stop,
    /// The version that goes into log and state.
    pub version: &'static str,
    /// What confines this process, for the log.
    pub sandbox: String,
}

/// A folder of verified artifacts, which several installers may share. Nothing in it is believed: what comes out is
/// verified like what comes from a server, and whatever is wrong with it, the run goes on without.
#[derive(Debug, Clone)]
pub struct Caching {
    /// The folder. It must exist and be no symlink, and be outside of the root.
    pub folder: PathBuf,
    /// Most bytes in it; the artifacts that were not used for the longest time give way to others.
    pub max_bytes: u64,
    /// Most bytes of an artifact that is taken out of it.
    pub max_artifact_bytes: u64,
}

/// What is believed of plugins that are installed already, as far as the state names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Belief {
    /// What their files' bytes say: each is hashed again.
    #[default]
    Content,
    /// What the state says, if it was written by a run that synced the files; they are not read. Such a run waits until
    /// all it wrote is on stable storage, and this one does so, too.
    State,
}
