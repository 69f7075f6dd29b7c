//! Plugins, tarballs, servers and registries made in code, for tests.
//!
//! ```
//! use testkit::{Plugin, Quirks, Registry, World};
//!
//! // A registry on a loopback port, and a plugin in it.
//! let registry = Registry::start();
//! let pushed = registry.push("my-org/hello", "1.2.3", &Plugin::backend("hello").version("1.2.3").tarball());
//! println!("package: {}\nintegrity: {}", pushed.reference, pushed.integrity);
//!
//! // The same under the names and with the manners of one out there; nobody has pulled a blob yet.
//! let world = World::new();
//! let github = world.registry(Quirks::ghcr());
//! github.push("my-org/hello", "1.2.3", &Plugin::backend("hello").tarball());
//! assert_eq!(world.recorder().requests(), []);
//! ```
//!
//! - Bytes: [`Tarball`] and its [`Entry`] (any archive, the hostile ones too), the [`Gzip`] around it, a [`Bomb`];
//!   [`Plugin`] (a good one), [`sri`] and [`sha256_digest`].
//! - Servers: [`Ca`] → [`HttpServer`], whose handler answers each [`Request`] with a [`Reply`] and whose [`Recorder`]
//!   remembers them. [`HttpServer::intercept`] and [`Fault`] make any server lie or break.
//! - Registries: [`Registry`] in this process, with the [`Quirks`] of the ones out there, [`Image`]s in it;
//!   [`DockerRegistry`], Debian's.
//! - Ways there: [`Door`], which refuses connections until it is opened; [`Distance`], which takes time.
//! - Names: [`World`], and the [`Proxy`] that leads a whole program into it.
//! - Afterwards: [`Tree`], what is on disk; [`yaml`], what a file says.
//!
//! # What this crate refuses
//! It listens on 127.0.0.1 only, connects nowhere else, and is a dependency of no program that is shipped. What it
//! cannot do it says by a panic: it is made for tests, and so is a failed assertion in a handler, which fails the test
//! when the server is dropped.

#![expect(clippy::missing_panics_doc, reason = "said once, above, for the whole crate")]

mod archive;
mod ca;
mod distance;
mod docker;
mod door;
mod http;
mod plugin;
mod proxy;
mod record;
mod registry;
mod tree;
mod world;
mod yaml;

pub use archive::{Bomb, Entry, Field, Gzip, LongNames, Tarball, base_256, gzip};
pub use ca::{Ca, Leaf};
pub use distance::Distance;
pub use docker::DockerRegistry;
pub use door::Door;
pub use http::{Fault, HttpServer, HttpServerBuilder, Reply, Request};
pub use plugin::{Plugin, sha256_digest, sri};
pub use proxy::Proxy;
pub use record::Recorder;
pub use registry::{
    Auth, Bearer, DOCKER_LAYER, DOCKER_MANIFEST, EMPTY, GZIP, Image, Login, MediaTypes, OCI_INDEX, OCI_LAYER,
    OCI_MANIFEST, Pushed, Quirks, Ranges, Realm, Registry, RegistryBuilder, TokenField, Uploads, docker_config,
};
pub use tree::Tree;
pub use world::World;
pub use yaml::yaml;
