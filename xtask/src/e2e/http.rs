//! One request to a server on the loopback interface, in HTTP/1.0: an answer ends where the connection does.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Longest silence of the server.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer: a bundle of a frontend is a tenth of it.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// What a server said.
pub(super) struct Answer {
    path: String,
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Asks for a path, with a bearer token if there is one.
pub(super) fn get(port: u16, path: &str, token: Option<&str>) -> anyhow::Result<Answer> {
    ask(port, path, token).with_context(|| format!("could not get `{path}`"))
}

fn ask(port: u16, path: &str, token: Option<&str>) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{token}\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    parse(path, &answer)
}

fn parse(path: &str, answer: &[u8]) -> anyhow::Result<Answer> {
    const END: &[u8] = b"\r\n\r\n";
    let end = answer.windows(END.len()).position(|bytes| bytes == END).context("the answer has no end of its head")?;
    let (head, body) = (String::from_utf8_lossy(&answer[..end]), &answer[end + END.len()..]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("the answer has no status")?;
    let length = head.lines().filter_map(|line| line.split_once(": "));
    let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value).next();
    let length = length.map(str::parse::<usize>).transpose().context("the answer's length is no number")?;
    ensure!(length.is_none_or(|length| length == body.len()), "the answer broke off");
    Ok(Answer { path: path.to_owned(), status, body: body.to_owned() })
}

impl Answer {
    /// The body of a good answer.
    pub(super) fn good(self) -> anyhow::Result<Vec<u8>> {
        let Self { path, status, body } = self;
        ensure!(status == 200, "expected 200 at `{path}`, found {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    /// The body of a good answer, as JSON.
    pub(super) fn json(self) -> anyhow::Result<Value> {
        let path = self.path.clone();
        serde_json::from_slice(&self.good()?).with_context(|| format!("expected JSON at `{path}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let answer = parse("/x", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]").unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json().unwrap(), serde_json::json!([]));
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_answer() {
        for answer in ["", "HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n[]"] {
            assert!(parse("/x", answer.as_bytes()).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn a_bad_answer_is_told_with_what_it_says() {
        let error = parse("/x", b"HTTP/1.1 404 Not Found\r\n\r\nno").unwrap().good().unwrap_err();
        assert_eq!(error.to_string(), "expected 200 at `/x`, found 404: no");
    }
}
