//! The way into a [`World`] for a program that knows only the usual variables.

use crate::{HttpServer, Reply, World};

/// An HTTP proxy on the loopback interface that knows the names of one world and no others.
///
/// It answers `CONNECT name:443`; everything else is 405, a name that the world does not know is 502. With
/// `HTTPS_PROXY` set to [`url`](Self::url) and `SSL_CERT_FILE` to a file with the world's authority, a program reaches
/// `https://ghcr.io` without a connection leaving the machine.
#[derive(Debug)]
pub struct Proxy(HttpServer);

impl Proxy {
    /// Starts it on a free port of 127.0.0.1. Servers that join the world later are known to it as well.
    pub fn start(world: &World) -> Self {
        let names = world.names().clone();
        Self(HttpServer::start(move |request| {
            if request.method != "CONNECT" {
                return Reply::status(405);
            }
            let name = request.path.strip_suffix(":443");
            match name.and_then(|name| names.address_of(name)) {
                Some(address) => Reply::tunnel(address),
                None => Reply::status(502),
            }
        }))
    }

    /// What `HTTPS_PROXY` is set to.
    pub fn url(&self) -> String {
        self.0.origin().to_owned()
    }

    /// The authorities that tunnels were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.0.recorder().requests().into_iter().map(|request| request.path).collect()
    }

    /// The server itself, to ask for headers or to put a liar in front of it.
    pub fn server(&self) -> &HttpServer {
        &self.0
    }
}
