//! What a run is given.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use config::Plan;
use tarball::Limits;
use transport::{Clock, Stop};

use crate::Locking;

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
