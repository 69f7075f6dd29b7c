//! The rhdh dialect: `dynamic-plugins.yaml` as Red Hat Developer Hub's installer reads it.

mod file;
mod place;

pub use file::{File, PullPolicy, RawEntry, read};
pub use place::{Place, Written};
