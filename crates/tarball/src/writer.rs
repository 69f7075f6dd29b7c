//! The tar layer, written: a ustar header for each entry (IEEE Std 1003.1, pax, "ustar Interchange Format"), and a PAX
//! one before it where a name does not fit. Nothing in it tells of the machine or the user that packed.

use std::ops::Range;

use crate::header::{
    BLOCK, CHECKSUM, FLAG, GROUP, LINK, MAGIC, MAJOR, MINOR, MODE, NAME, OWNER, PREFIX, SIZE, TIME, VERSION,
};

/// Bytes of the largest file that a ustar header can tell.
pub(crate) const FILE_MAX: u64 = 0o777_7777_7777;
/// What stands after the last entry.
pub(crate) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The time of every entry, 1985-10-26T08:15:00Z as in npm's archives. GNU tar warns of the more obvious 0.
const MODIFIED: u64 = 499_162_500;
/// The name of a PAX header itself, which only a reader that knows none would see.
const PAX_NAME: &str = "PaxHeader";

/// What an entry is, as far as its headers tell.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry<'a> {
    Directory,
    File { executable: bool, len: u64 },
    Symlink { target: &'a str },
}

/// The headers of the entry at `path`, whole blocks. The bytes of a file follow, filled up with zeros.
pub(crate) fn headers(path: &str, entry: Entry<'_>) -> Vec<u8> {
    let (flag, mode, len, target) = match entry {
        Entry::Directory => (b'5', 0o755, 0, ""),
        Entry::File { executable: true, len } => (b'0', 0o755, len, ""),
        Entry::File { executable: false, len } => (b'0', 0o644, len, ""),
        Entry::Symlink { target } => (b'2', 0o777, 0, target),
    };
    let name = if flag == b'5' { format!("{path}/") } else { path.to_owned() };
    let mut records = String::new();
    let (prefix, short) = fit(&name).unwrap_or_else(|| {
        records.push_str(&record("path", &name));
        ("", cut(&name))
    });
    if !target.is_ascii() || target.len() > LINK.len() {
        records.push_str(&record("linkpath", target));
    }
    let mut headers = Vec::new();
    if !records.is_empty() {
        headers.extend(block("", PAX_NAME, b'x', 0o644, records.len() as u64, ""));
        headers.extend(records.as_bytes());
        headers.resize(headers.len().next_multiple_of(BLOCK), 0);
    }
    headers.extend(block(prefix, short, flag, mode, len, cut(target)));
    headers
}

fn block(prefix: &str, name: &str, flag: u8, mode: u64, len: u64, link: &str) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |field: Range<usize>, bytes: &[u8]| block[field][..bytes.len()].copy_from_slice(bytes);
    let short = |number: u64| format!("{number:07o}");
    put(NAME, name.as_bytes());
    put(MODE, short(mode).as_bytes());
    put(OWNER, short(0).as_bytes());
    put(GROUP, short(0).as_bytes());
    put(SIZE, format!("{len:011o}").as_bytes());
    put(TIME, format!("{MODIFIED:011o}").as_bytes());
    put(CHECKSUM, &[b' '; CHECKSUM.end - CHECKSUM.start]);
    put(FLAG..FLAG + 1, &[flag]);
    put(LINK, link.as_bytes());
    put(MAGIC, b"ustar\0");
    put(VERSION, b"00");
    put(MAJOR, short(0).as_bytes());
    put(MINOR, short(0).as_bytes());
    put(PREFIX, prefix.as_bytes());
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Prefix and name of a path that ustar can tell: ASCII, in one field or cut in two at a `/`.
fn fit(path: &str) -> Option<(&str, &str)> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= NAME.len() {
        return Some(("", path));
    }
    let mut slashes = path.match_indices('/').map(|(at, _)| at);
    let at = slashes.find(|at| path.len() - at - 1 <= NAME.len())?;
    (at <= PREFIX.len() && at + 1 < path.len()).then(|| (&path[..at], &path[at + 1..]))
}

/// As much as an old reader gets to see of a name that is told in a PAX header.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(NAME.len())]
}

/// `<length> <key>=<value>\n`, where the length counts itself.
fn record(key: &str, value: &str) -> String {
    let body = format!(" {key}={value}\n");
    let mut len = body.len() + 1;
    while len != body.len() + len.to_string().len() {
        len += 1;
    }
    format!("{len}{body}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Header;
    use crate::pax::Pax;
    use proptest::prelude::*;

    /// Name and link as a reader understands them.
    fn read(headers: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (first, rest) = headers.split_first_chunk::<BLOCK>().unwrap();
        let header = Header::parse(first).unwrap();
        if header.flag() != b'x' {
            assert!(rest.is_empty());
            return (header.name(Vec::new()), header.link());
        }
        let len = usize::try_from(header.size().unwrap()).unwrap();
        let pax = Pax::parse(&rest[..len]).unwrap();
        let entry = Header::parse(rest.last_chunk::<BLOCK>().unwrap()).unwrap();
        assert_eq!(rest.len(), len.next_multiple_of(BLOCK) + BLOCK);
        (pax.path.unwrap_or_else(|| entry.name(Vec::new())), pax.link.unwrap_or_else(|| entry.link()))
    }

    #[test]
    fn a_header_says_what_it_should_and_nothing_else() {
        let headers = headers("package/dist/cli.js", Entry::File { executable: true, len: 0o1234 });
        let mut expected = [0; BLOCK];
        for (at, bytes) in [
            (0, &b"package/dist/cli.js"[..]),
            (100, b"0000755\x000000000\x000000000\0"),
            (124, b"00000001234\x0003560116604\x00"),
            (148, b"012713\0 0"),
            (257, b"ustar\x0000"),
            (329, b"0000000\x000000000\0"),
        ] {
            expected[at..at + bytes.len()].copy_from_slice(bytes);
        }
        assert_eq!(headers, expected, "{}", headers.escape_ascii());
    }

    #[test]
    fn names_take_as_little_as_they_fit_in() {
        let (a99, a100, a101) = ("a".repeat(99), "a".repeat(100), "a".repeat(101));
        let b155 = "b".repeat(155);
        let file = Entry::File { executable: false, len: 0 };
        let rows = [
            ("folder of 99 and a slash", a99.clone(), Entry::Directory, 1),
            ("folder of 100 and a slash", a100.clone(), Entry::Directory, 3),
            ("file of 100", a100.clone(), file, 1),
            ("file of 101", a101.clone(), file, 3),
            ("prefix and name full", format!("{b155}/{a100}"), file, 1),
            ("prefix too long", format!("{b155}b/{a100}"), file, 3),
            ("name too long", format!("b/{a101}"), file, 3),
            ("folder, prefix and name full", format!("{b155}/{a99}"), Entry::Directory, 1),
            ("folder, name too long", format!("{b155}/{a100}"), Entry::Directory, 3),
            ("not ASCII", "ü".to_owned(), Entry::Directory, 3),
            ("link of 100", "l".to_owned(), Entry::Symlink { target: &a100 }, 1),
            ("link of 101", "l".to_owned(), Entry::Symlink { target: &a101 }, 3),
            ("link not ASCII", "l".to_owned(), Entry::Symlink { target: "ü" }, 3),
        ];
        for (name, path, entry, blocks) in rows {
            let headers = headers(&path, entry);
            assert_eq!(headers.len(), blocks * BLOCK, "{name}");
            let link = if let Entry::Symlink { target } = entry { target } else { "" };
            let path = if let Entry::Directory = entry { path + "/" } else { path };
            assert_eq!(read(&headers), (path.into_bytes(), link.as_bytes().to_vec()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_name_reads_back(path in "[a-zü]{1,120}(/[a-zü]{1,120}){0,4}", target in "[a-zü./]{1,300}") {
            let headers = headers(&path, Entry::Symlink { target: &target });
            prop_assert_eq!(read(&headers), (path.into_bytes(), target.into_bytes()));
        }
    }
}
