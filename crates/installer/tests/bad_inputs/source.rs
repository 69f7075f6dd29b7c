//! Rows about where a plugin comes from, and about the list of what is allowed.

use crate::case::{Case, Entry, Listing};
use crate::net::Net;
use crate::placeholder::{fill, good};
use crate::row::Row;

/// What an entry names when the row is about the list.
const PACKAGE: &str = "oci://reg.example.com/my-org/plug:1.0.0";

/// Three forms: a package value, `package: …` as YAML, and `value + n x 'c'` for a long one. One row has no package.
pub(crate) fn source(row: &Row) -> Result<Case, String> {
    let mut net = Net::new();
    if row.id == "PU45" || row.input.starts_with("package: ") {
        let served = net.serve(PACKAGE, &good());
        let package = Some(row.input.clone()).filter(|_| row.id != "PU45");
        let lines = package.into_iter().chain([format!("integrity: {}", served.integrity)]);
        return Ok(Case::listing(net, Listing::of([Entry(lines.collect())]).given(&row.given)?));
    }
    let package = match row.input.split_once(" + ") {
        Some((start, repeated)) => format!("{start}{}", repetition(repeated).ok_or_else(|| row.without_builder())?),
        None if fill(&row.input)?.contains(' ') => return Err(row.without_builder()),
        None => fill(&row.value()?)?,
    };
    let served = net.serve(&package, &good());
    let listing = Listing::of([Entry::from(&served)]).given(&fill(&row.given)?)?;
    Ok(Case { secrets: passwords(&package), ..Case::listing(net, listing) })
}

/// One form: a line of YAML, perhaps with a remark in brackets behind it, perhaps `with` a package. One row has none.
pub(crate) fn allow_list(row: &Row) -> Result<Case, String> {
    let input = row.input.split("  (").next().unwrap_or_default();
    let (line, package) = match (row.id.as_str(), input.split_once(" with ")) {
        ("PW01", _) => ("", PACKAGE),
        ("PW13", Some((line, _))) => (line, PACKAGE),
        ("PW14", Some((line, _))) => (line, "oci://reg.example.com/my-org/plug:1.0.1"),
        (_, Some((line, package))) if package.contains("://") => (line, package),
        (_, None) if input.starts_with("allowedSource") => (input, PACKAGE),
        _ => return Err(row.without_builder()),
    };
    let mut net = Net::new();
    let served = net.serve(package, &good());
    let mut listing = Listing::of([Entry::from(&served)]);
    // The table's escapes mean the same in YAML's double quotes.
    listing.allowed = line.replace('\'', "\"");
    Ok(Case::listing(net, listing))
}

/// `100,000 x 'a'`
fn repetition(text: &str) -> Option<String> {
    let (count, unit) = text.split_once(" x ")?;
    let unit = unit.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(unit.repeat(count.replace(',', "").parse().ok()?))
}

/// What stands between `:` and `@` before the host.
fn passwords(package: &str) -> Vec<String> {
    let userinfo = package.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
    let password = userinfo.and_then(|(userinfo, _)| userinfo.split_once(':')).map(|(_, password)| password.to_owned());
    password.into_iter().collect()
}
