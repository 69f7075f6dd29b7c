//! A way to a server that is shut until somebody opens it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::thread::{self, JoinHandle};

use rustix::net::{AddressFamily, Shutdown, SocketType};

use crate::HttpServer;
use crate::http::tunnel;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;

/// A port of 127.0.0.1 that refuses every connection until it is [opened](Self::open), and leads to a server then. The
/// port is its own from the beginning: nobody else can take it meanwhile.
///
/// ```
/// use std::net::TcpStream;
/// use testkit::{Door, HttpServer, Reply};
///
/// let server = HttpServer::start(|_| Reply::ok());
/// let door = Door::to(&server);
/// assert!(TcpStream::connect(door.address()).is_err());
/// door.open();
/// assert!(TcpStream::connect(door.address()).is_ok());
/// ```
pub struct Door {
    socket: OwnedFd,
    address: SocketAddr,
    behind: SocketAddr,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Door {
    /// One that is shut.
    pub fn to(server: &HttpServer) -> Self {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket can be made");
        rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a loopback port is free");
        let address = rustix::net::getsockname(&socket).expect("a bound socket has an address");
        let address = address.try_into().expect("it is an IP address");
        Self { socket, address, behind: server.address(), accepting: Mutex::default() }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets everybody in from now on; once is enough.
    pub fn open(&self) {
        let mut accepting = self.accepting.lock().expect("no holder panics");
        if accepting.is_some() {
            return;
        }
        rustix::net::listen(&self.socket, BACKLOG).expect("a bound socket can listen");
        let (listener, behind) = (self.listener().expect("a descriptor can be copied"), self.behind);
        *accepting = Some(thread::spawn(move || {
            // Shut down by the drop, it gives an error.
            while let Ok((client, _)) = listener.accept() {
                thread::spawn(move || tunnel(&client, behind));
            }
        }));
    }

    fn listener(&self) -> io::Result<TcpListener> {
        self.socket.try_clone().map(TcpListener::from)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.get_mut().ok().and_then(Option::take) {
            // The only way to wake `accept`; without it the join would wait for ever.
            if rustix::net::shutdown(&self.socket, Shutdown::Both).is_ok() {
                drop(accepting.join());
            }
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Door({} to {})", self.address, self.behind)
    }
}
