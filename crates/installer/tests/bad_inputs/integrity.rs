//! Rows about the promised digest and the bytes that come.

use testkit::{Fault, Image, Plugin, Reply, sri};

use crate::bench::Seen;
use crate::case::{Case, Entry, Listing};
use crate::logfmt::records;
use crate::net::{ARTIFACTS, Net, Served};
use crate::placeholder::{PLUG, evil, fill, good, other};
use crate::row::Row;

const PACKAGE: &str = "oci://reg.example.com/my-org/plug:1.0.0";

/// Two forms: an integrity value, and `integrity: …` as YAML. All other rows have a builder.
pub(crate) fn integrity(row: &Row) -> Result<Case, String> {
    if row.input.starts_with("integrity: ") {
        return Ok(listed(Some(fill(&row.input)?)));
    }
    if names_an_algorithm(&row.value()?) {
        let Case { net, .. } = listed(None);
        let entry = Entry::new(PACKAGE, &fill(&row.value()?)?);
        return Ok(Case::listing(net, Listing::of([entry])));
    }
    let bytes = good();
    match row.id.as_str() {
        "PI01" => Ok(listed(None)),
        "PI26" => Ok(mismatch(&sri(&other()), &bytes)),
        "PI27" => Ok(mismatch(&sri(&Plugin::backend(PLUG).archive().tar()), &bytes)),
        "PI28" => {
            let manifest = Image::plugin(&bytes).manifest().to_string();
            Ok(mismatch(&sri(manifest.as_bytes()), &bytes))
        }
        "PI29" => {
            let mut flipped = bytes.clone();
            flipped[bytes.len() / 2] ^= 1;
            Ok(mismatch(&sri(&bytes), &flipped))
        }
        "PI30" => Ok(changing(&bytes, &other())),
        "PI31" => Ok(mismatch(&sri(&bytes), &evil())),
        _ => Err(row.without_builder()),
    }
}

/// `sha512-…`, `SHA512:…`, ` md5-…`
fn names_an_algorithm(value: &str) -> bool {
    let name = value.trim_start().split(['-', ':']).next().unwrap_or_default();
    name.len() < value.len() && name.contains(|c: char| c.is_ascii_digit()) && !name.contains(' ')
}

/// The good plugin, under the right list, with this line for its integrity.
fn listed(integrity: Option<String>) -> Case {
    let mut net = Net::new();
    net.serve(PACKAGE, &good());
    let package = format!("package: {PACKAGE}");
    let entry = Entry([package].into_iter().chain(integrity).collect());
    Case::listing(net, Listing::of([entry]))
}

/// A good copy first; then bytes that are not the promised ones, from a registry.
fn mismatch(promised: &str, served: &[u8]) -> Case {
    let mut net = Net::new();
    let first = net.push("plug:0.9.0", &Plugin::backend(PLUG).version("0.9.0"));
    net.serve(PACKAGE, served);
    let case =
        Case::listing(net, Listing::of([Entry::new(PACKAGE, promised)])).after(Listing::of([Entry::from(&first)]));
    let (promised, computed) = (promised.to_owned(), sri(served));
    case.holds(move |seen| tells_both(seen, &promised, &computed))
}

/// A good copy first; then half of the right bytes, and other ones when asked again.
fn changing(first: &[u8], then: &[u8]) -> Case {
    let package = format!("https://{ARTIFACTS}/plugins/plug.tgz");
    let mut net = Net::new();
    let before = net.push("plug:0.9.0", &Plugin::backend(PLUG).version("0.9.0"));
    let (half, recorder) = (first.len() as u64 / 2, net.world.recorder().clone());
    let (promised, computed) = (sri(first), sri(then));
    let (first, then) = (first.to_vec(), then.to_vec());
    net.https(ARTIFACTS, move |request| {
        // The record holds this request already, and is cleared before each run.
        if recorder.count(&request.path) == 1 {
            Reply::ok().body(first.clone()).broken_after(half, Fault::Reset)
        } else {
            Reply::ok().body(then.clone())
        }
    });
    let served = Served { package, integrity: promised.clone() };
    let case = Case::listing(net, Listing::of([Entry::from(&served)])).after(Listing::of([Entry::from(&before)]));
    case.holds(move |seen| tells_both(seen, &promised, &computed))
}

fn tells_both(seen: &Seen, expected: &str, computed: &str) -> Result<(), String> {
    let told = records(&seen.stderr)?;
    let rejection = told.iter().find(|record| record.event() == "plugin_rejected").ok_or("nothing was rejected")?;
    let found = (rejection.field("expected"), rejection.field("computed"));
    if found == (Some(expected), Some(computed)) {
        return Ok(());
    }
    Err(format!("expected both digests, `{expected}` and `{computed}`, found {found:?}"))
}
