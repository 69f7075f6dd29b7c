//! `cargo xtask registry`: a registry for whoever follows the quickstart.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use anyhow::Context as _;
use testkit::Registry;

/// The port that the documents name.
const PORT: u16 = 5000;

/// Serves until it is interrupted. What was pushed is gone then.
pub(crate) fn run() -> anyhow::Result<()> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))
        .with_context(|| format!("could not listen on `localhost:{PORT}`; is a registry there already?"))?;
    let _registry = Registry::builder().port(PORT).start();
    println!("a registry listens on `localhost:{PORT}`, until Ctrl-C");
    loop {
        thread::park();
    }
}
