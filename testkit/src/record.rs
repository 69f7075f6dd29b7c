//! What was asked of servers, in order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Request;

/// Every request that the servers writing to it received, in one order. Clones are the same record.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Request>>>);

impl Recorder {
    /// Everything so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().clone()
    }

    /// The requests that carried a header of this name (lower case).
    pub fn with_header(&self, name: &str) -> Vec<Request> {
        self.matching(|request| request.header(name).is_some())
    }

    /// The requests to one origin, such as `https://auth.docker.io`.
    pub fn to_origin(&self, origin: &str) -> Vec<Request> {
        self.matching(|request| *request.origin == *origin)
    }

    /// How many requests asked for this path, whatever the query.
    pub fn count(&self, path: &str) -> usize {
        self.matching(|request| request.path == path).len()
    }

    /// Forgets everything so far.
    pub fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn record(&self, request: Request) {
        self.lock().push(request);
    }

    fn matching(&self, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
        self.lock().iter().filter(|request| wanted(request)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
