//! A network that answers what it was told to, and remembers what it was asked.

use std::io::Cursor;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use transport::{Clock, Headers, Request, Response, Stop, Transport, TransportError};

/// Answers what a function says.
pub(crate) struct Scripted<F> {
    answer: F,
    asked: Mutex<Vec<Request>>,
}

/// Status, header fields, body.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

impl<F: Fn(&Request) -> Answer + Send + Sync> Scripted<F> {
    pub(crate) fn new(answer: F) -> Self {
        Self { answer, asked: Mutex::default() }
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("no other thread asks").clone()
    }
}

impl<F: Fn(&Request) -> Answer + Send + Sync> Transport for Scripted<F> {
    fn send(&self, request: &Request, _: Duration) -> Result<Response, TransportError> {
        self.asked.lock().expect("no other thread asks").push(request.clone());
        let (status, fields, body) = (self.answer)(request);
        let headers: Headers = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Response::new(request.url.clone(), status, headers, Box::new(Cursor::new(body))))
    }
}

/// A clock that stands still.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration, _: &Stop) {}
}
