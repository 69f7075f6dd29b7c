//! What a handler answers, the ways of breaking an answer included.

use std::fmt;
use std::io::{self, Cursor, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

const COPY_BUFFER: usize = 64 * 1024;

/// An answer under construction.
#[must_use = "a reply does nothing until a handler returns it"]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Box<dyn Read + Send>,
    framing: Framing,
    delivery: Delivery,
    /// What passes between two bytes of the body.
    drip: Option<Duration>,
}

enum Framing {
    Length(u64),
    Chunked,
    /// No length at all: the body ends where the connection does.
    UntilClose,
}

enum Delivery {
    Whole,
    Nothing(Fault),
    Part(u64, Fault),
    /// The body alone, without a head of ours.
    Raw,
    Tunnel(SocketAddr),
}

/// How a connection dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server closes it, as if it were done.
    Close,
    /// The server resets it (TCP RST).
    Reset,
    /// The server falls silent and leaves it open.
    Stall,
}

/// What becomes of the connection after an answer.
pub(super) enum After {
    Keep,
    Close,
    Break(Fault),
    Tunnel(SocketAddr),
}

impl Reply {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Box::new(io::empty()),
            framing: Framing::Length(0),
            delivery: Delivery::Whole,
            drip: None,
        }
    }

    /// 200.
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// A redirect with this status to this URL.
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::status(status).header("location", to)
    }

    /// No answer at all.
    pub fn broken(fault: Fault) -> Self {
        Self { delivery: Delivery::Nothing(fault), ..Self::status(500) }
    }

    /// These bytes in place of an HTTP answer, and then the end of the connection.
    pub fn raw(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { delivery: Delivery::Raw, ..Self::status(200).body(bytes) }
    }

    /// The answer to a `CONNECT`: from here on bytes go to and from that address. Plain servers only.
    pub(crate) fn tunnel(to: SocketAddr) -> Self {
        Self { delivery: Delivery::Tunnel(to), ..Self::status(200) }
    }

    /// Adds a header, or replaces the one of that name.
    ///
    /// A `content-length` given here is sent in place of the true one, and the connection is closed after the body.
    pub fn header(self, name: &str, value: &str) -> Self {
        let mut reply = self.without(name);
        reply.headers.push((name.to_owned(), value.to_owned()));
        reply
    }

    /// Takes a header back.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self
    }

    /// `Retry-After`, seconds or an HTTP date.
    pub fn retry_after(self, value: &str) -> Self {
        self.header("retry-after", value)
    }

    /// The whole body.
    pub fn body(self, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let len = bytes.len() as u64;
        self.stream(Cursor::new(bytes), len)
    }

    /// A JSON body and its content type.
    pub fn json(self, value: &Value) -> Self {
        self.header("content-type", "application/json").body(value.to_string().into_bytes())
    }

    /// A body of `len` bytes that never stands in memory as a whole.
    pub fn stream(mut self, body: impl Read + Send + 'static, len: u64) -> Self {
        self.body = Box::new(body);
        self.framing = Framing::Length(len);
        self
    }

    /// Sends the body in chunks, without a length.
    pub fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Sends the body without a length; it ends where the connection does.
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self
    }

    /// Sends the body one byte at a time, with a pause after each; what is [raw](Self::raw) from its first byte on.
    pub fn drip(mut self, every: Duration) -> Self {
        self.drip = Some(every);
        self
    }

    /// The same answer with another body, made of its own.
    pub fn with_body(mut self, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Self {
        let mut body = Vec::new();
        self.body.read_to_end(&mut body).expect("a body of the test's own can be read");
        self.body(change(body))
    }

    /// The same answer with another status.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same answer, which announces another length than it has.
    pub fn with_length(self, change: impl FnOnce(u64) -> u64) -> Self {
        match self.framing {
            Framing::Length(len) => self.header("content-length", &change(len).to_string()),
            Framing::Chunked | Framing::UntilClose => panic!("this answer announces no length"),
        }
    }

    /// The header of this name.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Sends the head and this many bytes of the body, then the connection dies.
    pub fn broken_after(mut self, bytes: u64, fault: Fault) -> Self {
        self.delivery = Delivery::Part(bytes, fault);
        self
    }

    /// Writes the answer to a request; `head_only` for `HEAD`.
    pub(super) fn send(mut self, head_only: HeadOnly, to: &mut impl Write) -> io::Result<After> {
        let (limit, after) = match self.delivery {
            Delivery::Whole => (u64::MAX, After::Keep),
            Delivery::Nothing(fault) => return Ok(After::Break(fault)),
            Delivery::Part(bytes, fault) => (bytes, After::Break(fault)),
            Delivery::Raw => {
                copy_body(&mut self.body, Chunks::No, self.drip, to)?;
                to.flush()?;
                return Ok(After::Break(Fault::Close));
            }
            Delivery::Tunnel(address) => (0, After::Tunnel(address)),
        };
        let lies = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason_phrase(self.status));
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        match &self.framing {
            _ if lies || self.status == 204 || matches!(after, After::Tunnel(_)) => {}
            Framing::Length(len) => head.extend(["content-length: ", &len.to_string(), "\r\n"]),
            Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
            Framing::UntilClose => head.push_str("connection: close\r\n"),
        }
        head.push_str("\r\n");
        to.write_all(head.as_bytes())?;
        if head_only == HeadOnly::Yes {
            to.flush()?;
            return Ok(after);
        }
        let chunked = matches!(self.framing, Framing::Chunked) && !lies;
        let chunks = if chunked { Chunks::Yes } else { Chunks::No };
        let sent = copy_body(&mut self.body.take(limit), chunks, self.drip, to)?;
        if chunked && limit == u64::MAX {
            to.write_all(b"0\r\n\r\n")?;
        }
        to.flush()?;
        let whole = match self.framing {
            Framing::Length(len) => sent == len && !lies,
            Framing::Chunked => !lies,
            Framing::UntilClose => false,
        };
        Ok(if !whole && matches!(after, After::Keep) { After::Close } else { after })
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).field("headers", &self.headers).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadOnly {
    Yes,
    No,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chunks {
    Yes,
    No,
}

fn copy_body(body: &mut impl Read, chunks: Chunks, drip: Option<Duration>, to: &mut impl Write) -> io::Result<u64> {
    let mut buffer = vec![0; if drip.is_some() { 1 } else { COPY_BUFFER }];
    let mut sent = 0;
    loop {
        let read = body.read(&mut buffer)?;
        if read == 0 {
            return Ok(sent);
        }
        if chunks == Chunks::Yes {
            write!(to, "{read:x}\r\n")?;
        }
        to.write_all(&buffer[..read])?;
        if chunks == Chunks::Yes {
            to.write_all(b"\r\n")?;
        }
        if let Some(pause) = drip {
            to.flush()?;
            thread::sleep(pause);
        }
        sent += read as u64;
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200..300 => "OK",
        300..400 => "Redirect",
        400..500 => "Client Error",
        _ => "Server Error",
    }
}
