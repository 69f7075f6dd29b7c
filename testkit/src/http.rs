//! An HTTP/1.1 server on the loopback interface: a thread a connection, no runtime, and every way of misbehaving.

mod reply;
mod request;

use std::any::Any;
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub use reply::{Fault, Reply};
pub use request::Request;

use crate::{Ca, Recorder};
use reply::{After, HeadOnly};

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;
type Hook = dyn Fn(&Request, &dyn Fn() -> Reply) -> Reply + Send + Sync;

/// A server that runs until it is dropped.
///
/// A handler that panics (a failed `assert!`) is answered with 400, which no client retries, and its message makes the
/// drop of the server panic: what goes wrong in a thread fails the test.
///
/// ```
/// use testkit::{HttpServer, Reply};
///
/// let server = HttpServer::start(|_| Reply::ok().body(*b"hello"));
/// assert!(server.url("/x").starts_with("http://127.0.0.1:"));
/// ```
pub struct HttpServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    host: String,
    origin: Arc<str>,
    tls: Option<Arc<ServerConfig>>,
    recorder: Recorder,
    handler: Box<Handler>,
    hooks: Mutex<Vec<Arc<Hook>>>,
    failures: Mutex<Vec<String>>,
    stopping: AtomicBool,
}

/// Settings of a server that is not simply plain and nameless.
#[derive(Debug, Default)]
pub struct HttpServerBuilder {
    name: Option<String>,
    port: u16,
    certificates: Certificates,
    recorder: Recorder,
}

#[derive(Debug, Default)]
enum Certificates {
    #[default]
    None,
    From(Ca),
    Fixed(Arc<ServerConfig>),
}

impl HttpServer {
    /// Starts a plain server on a free port of 127.0.0.1.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::builder().start(handler)
    }

    /// Starts with settings.
    pub fn builder() -> HttpServerBuilder {
        HttpServerBuilder::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority that clients write: its public name, or `127.0.0.1:PORT` when it has none.
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// Scheme and authority, without a slash at the end.
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// The URL of a path that starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// What was asked of it, and of the servers that share its record.
    pub fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    /// Puts a liar in front of the handler: it sees each request, and may answer itself or change the true answer.
    ///
    /// The one added last is asked first.
    pub fn intercept(&self, hook: impl Fn(&Request, &dyn Fn() -> Reply) -> Reply + Send + Sync + 'static) {
        lock(&self.shared.hooks).push(Arc::new(hook));
    }

    /// Answers the first `times` requests that `matches` with `reply` instead.
    pub fn first(
        &self,
        times: usize,
        matches: impl Fn(&Request) -> bool + Send + Sync + 'static,
        reply: impl Fn() -> Reply + Send + Sync + 'static,
    ) {
        let left = AtomicUsize::new(times);
        let take = move || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        self.intercept(move |request, answer| if matches(request) && take() { reply() } else { answer() });
    }

    /// The messages of handlers that panicked, which are then forgiven: dropping the server no longer panics for them.
    pub fn take_failures(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.shared.failures))
    }
}

impl HttpServerBuilder {
    /// The public name that clients use in place of the address, without a port.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The port of 127.0.0.1 on which people expect it, instead of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Speaks TLS, with a certificate of this authority for its name and for 127.0.0.1.
    #[must_use]
    pub fn tls(mut self, ca: &Ca) -> Self {
        self.certificates = Certificates::From(ca.clone());
        self
    }

    /// Speaks TLS with these certificates, whatever they are for.
    #[must_use]
    pub fn tls_with(mut self, config: Arc<ServerConfig>) -> Self {
        self.certificates = Certificates::Fixed(config);
        self
    }

    /// Writes to a record that other servers write to as well.
    #[must_use]
    pub fn recorder(mut self, recorder: &Recorder) -> Self {
        self.recorder = recorder.clone();
        self
    }

    /// Starts it on 127.0.0.1.
    pub fn start(self, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> HttpServer {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).expect("the loopback port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let tls = match self.certificates {
            Certificates::None => None,
            Certificates::From(ca) => Some(ca.server_config(self.name.as_deref().as_slice())),
            Certificates::Fixed(config) => Some(config),
        };
        let host = self.name.unwrap_or_else(|| address.to_string());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            origin: format!("{scheme}://{host}").into(),
            host,
            tls,
            recorder: self.recorder,
            handler: Box::new(handler),
            hooks: Mutex::default(),
            failures: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        HttpServer { shared, address, accepting: Some(accepting) }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // `accept` has no other way to learn of the flag; a refused connection means that it is gone already.
        drop(TcpStream::connect(self.address));
        let ended = self.accepting.take().map(JoinHandle::join);
        if thread::panicking() {
            return;
        }
        if let Some(Err(panic)) = ended {
            panic!("server `{}`: {}", self.host(), message(&*panic));
        }
        let failures = self.take_failures();
        assert!(failures.is_empty(), "server `{}`: {}", self.host(), failures.join("; "));
    }
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpServer({} at {})", self.origin(), self.address)
    }
}

impl Shared {
    fn answer(&self, request: &Request) -> Reply {
        let hooks = lock(&self.hooks).clone();
        catch_unwind(AssertUnwindSafe(|| self.ask(&hooks, request))).unwrap_or_else(|panic| {
            lock(&self.failures).push(message(&*panic));
            Reply::status(400)
        })
    }

    fn ask(&self, hooks: &[Arc<Hook>], request: &Request) -> Reply {
        match hooks.split_last() {
            Some((hook, rest)) => hook(request, &|| self.ask(rest, request)),
            None => (self.handler)(request),
        }
    }

    /// Serves one connection until one side has enough of it.
    fn serve(&self, socket: &Arc<TcpStream>) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let plain = Socket(Arc::clone(socket));
        match &self.tls {
            None => self.converse(socket, &mut BufReader::new(plain), |_| Ok(())),
            Some(config) => {
                let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                let goodbye = |stream: &mut StreamOwned<ServerConnection, Socket>| {
                    stream.conn.send_close_notify();
                    stream.flush()
                };
                self.converse(socket, &mut BufReader::new(StreamOwned::new(session, plain)), goodbye)
            }
        }
    }

    fn converse<S: Read + Write>(
        &self,
        socket: &TcpStream,
        stream: &mut BufReader<S>,
        goodbye: impl Fn(&mut S) -> io::Result<()>,
    ) -> io::Result<()> {
        while let Some(request) = Request::read(&self.origin, stream)? {
            self.recorder.record(request.clone());
            let head_only = if request.method == "HEAD" { HeadOnly::Yes } else { HeadOnly::No };
            match self.answer(&request).send(head_only, stream.get_mut())? {
                After::Keep if !request.wants_close() => {}
                After::Keep | After::Close => break,
                After::Break(Fault::Close) => return Ok(()),
                After::Break(Fault::Reset) => {
                    // With no time to linger, the close that follows sends RST in place of FIN.
                    return Ok(rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO))?);
                }
                After::Break(Fault::Stall) => {
                    return io::copy(stream, &mut io::sink()).map(drop);
                }
                After::Tunnel(address) => return tunnel(socket, address),
            }
        }
        goodbye(stream.get_mut())
    }
}

/// A socket that the accepting thread can still shut down while its connection is being served.
struct Socket(Arc<TcpStream>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections: Vec<(Weak<TcpStream>, JoinHandle<()>)> = Vec::new();
    for socket in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        let socket = Arc::new(socket.expect("a connection can be accepted"));
        connections.retain(|(_, serving)| !serving.is_finished());
        // Only the connection's own thread holds the socket, so that it closes when that thread is done with it.
        connections.push((
            Arc::downgrade(&socket),
            thread::spawn({
                let shared = Arc::clone(shared);
                // A client that hangs up or talks nonsense is an everyday matter: clients under test do both.
                move || drop(shared.serve(&socket))
            }),
        ));
    }
    for (socket, serving) in connections {
        if let Some(socket) = socket.upgrade() {
            drop(socket.shutdown(Shutdown::Both));
        }
        serving.join().expect("serving a connection does not panic");
    }
}

/// Carries bytes both ways until either side ends.
pub(crate) fn tunnel(client: &TcpStream, address: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(address)?;
    server.set_nodelay(true)?;
    let carry = |mut from: &TcpStream, mut to: &TcpStream| {
        // Whatever ended this direction, the other one has to end with it.
        drop(io::copy(&mut from, &mut to));
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    };
    thread::scope(|scope| {
        scope.spawn(|| carry(client, &server));
        carry(&server, client);
    });
    Ok(())
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a handler panicked").to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
