//! A way to a server that takes its time, as the one to a registry on another continent does.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::HttpServer;

/// Most bytes that are read at once.
const CHUNK: usize = 128 * 1024;
/// Chunks on their way at a time: more than the loopback interface can bring in the time they take.
const UNDER_WAY: usize = 512;

/// A port of 127.0.0.1 that leads to a server, and puts a round trip between them.
///
/// Every byte arrives half a round trip after it was sent, and a connection's first byte leaves when its handshake would
/// be over. However many bytes are on their way, none waits for another one's time.
///
/// ```
/// use std::time::Duration;
/// use testkit::{Distance, HttpServer, Reply};
///
/// let server = HttpServer::start(|_| Reply::ok());
/// let far = Distance::to(&server, Duration::from_millis(20));
/// assert_ne!(far.address(), server.address());
/// ```
pub struct Distance {
    listener: TcpListener,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl Distance {
    /// Starts carrying. The server and the time it takes to hear from it.
    pub fn to(server: &HttpServer, round_trip: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (near, far) = (listener.try_clone().expect("a descriptor can be copied"), server.address());
        let accepting = thread::spawn(move || {
            // Shut down by the drop, it gives an error.
            while let Ok((client, _)) = near.accept() {
                // Whoever hangs up takes the other side along, and is asked no question.
                thread::spawn(move || drop(carry(&client, far, round_trip)));
            }
        });
        Self { listener, address, accepting: Some(accepting) }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Distance {
    fn drop(&mut self) {
        // The only way to wake `accept`; without it the join would wait for ever.
        if rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).is_ok() {
            self.accepting.take().map(JoinHandle::join);
        }
    }
}

impl fmt::Debug for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Distance({})", self.address)
    }
}

fn carry(client: &TcpStream, far: SocketAddr, round_trip: Duration) -> io::Result<()> {
    let accepted = Instant::now();
    let server = TcpStream::connect(far)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let one_way = round_trip / 2;
    thread::scope(|scope| {
        scope.spawn(|| one_direction(client, &server, accepted + round_trip, one_way));
        one_direction(&server, client, accepted, one_way);
    });
    Ok(())
}

/// Reads at once and writes later, until one side ends. Nothing leaves before the time `open`.
fn one_direction(mut from: &TcpStream, mut to: &TcpStream, open: Instant, one_way: Duration) {
    let (sender, under_way) = sync_channel::<(Instant, usize, Vec<u8>)>(UNDER_WAY);
    // Buffers go round: whoever is measured shares the processor with this.
    let (done, empty) = channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (due, len, bytes) in under_way {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if to.write_all(&bytes[..len]).is_err() {
                    drop(from.shutdown(Shutdown::Both));
                    return;
                }
                // At the end nobody needs it any more.
                drop(done.send(bytes));
            }
            drop(to.shutdown(Shutdown::Write));
        });
        loop {
            let mut bytes = empty.try_recv().unwrap_or_else(|_| vec![0; CHUNK]);
            let len = from.read(&mut bytes).unwrap_or(0);
            // The end takes as long as the bytes before it.
            let sent = sender.send((Instant::now().max(open) + one_way, len, bytes));
            if len == 0 || sent.is_err() {
                drop(sender);
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reply;

    const ROUND_TRIP: Duration = Duration::from_millis(80);

    fn ask(connection: &mut TcpStream) {
        connection.write_all(b"GET / HTTP/1.1\r\nhost: any\r\n\r\n").unwrap();
    }

    #[test]
    fn a_connection_costs_one_round_trip_and_each_answer_another() {
        let server = HttpServer::start(|_| Reply::ok());
        let far = Distance::to(&server, ROUND_TRIP);
        let started = Instant::now();
        let mut connection = TcpStream::connect(far.address()).unwrap();
        for round_trips in [2, 3, 4] {
            ask(&mut connection);
            let mut answer = [0; b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".len()];
            connection.read_exact(&mut answer).unwrap();
            assert!(answer.ends_with(b"\r\n\r\n"));
            assert!(started.elapsed() >= ROUND_TRIP * round_trips, "{:?}", started.elapsed());
        }
    }

    #[test]
    fn bytes_that_are_many_arrive_whole_and_none_waits_for_another_ones_time() {
        let content: Vec<u8> = (0..64 * 1024 * 1024_u32).map(|n| n.to_be_bytes()[1]).collect();
        let body: std::sync::Arc<[u8]> = content.clone().into();
        let server = HttpServer::start(move |_| Reply::ok().body(std::sync::Arc::clone(&body)).until_close());
        let far = Distance::to(&server, ROUND_TRIP);
        let started = Instant::now();
        let mut connection = TcpStream::connect(far.address()).unwrap();
        ask(&mut connection);
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(&content));
        // One chunk after the other would take 512 times 40 ms.
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }

    #[test]
    fn a_side_that_is_gone_takes_the_other_one_along() {
        let server = HttpServer::start(|_| Reply::ok().until_close());
        let far = Distance::to(&server, ROUND_TRIP);
        let mut connection = TcpStream::connect(far.address()).unwrap();
        ask(&mut connection);
        connection.read_to_end(&mut Vec::new()).unwrap();
        drop(far);
        // Its port is closed, and the connection that was open has ended.
        assert_eq!(connection.read(&mut [0]).unwrap(), 0);
    }
}
