//! A reader of the log that takes nothing but what the contract says: one record a line, keys in their order, no
//! character that a terminal or another reader may act on.

/// Bytes of a value as written, without its quotes.
const MAX_VALUE_BYTES: usize = 1024;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record(Vec<(String, String)>);

impl Record {
    /// The value of a field, its escapes resolved.
    pub(crate) fn field(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    pub(crate) fn event(&self) -> &str {
        self.field("event").unwrap_or_default()
    }

    pub(crate) fn reason(&self) -> &str {
        self.field("reason").unwrap_or_default()
    }

    /// Reads one line, without its end.
    fn parse(line: &str) -> Result<Self, String> {
        if let Some(found) = line.chars().find(|c| acts_on_a_reader(*c)) {
            return Err(format!("expected no control or formatting character, found {found:?} in `{line}`"));
        }
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut rest = line;
        loop {
            let (key, after) = rest.split_once('=').ok_or_else(|| format!("expected `key=`, found `{rest}`"))?;
            if key.is_empty() || !key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                return Err(format!("expected a key, found `{key}`"));
            }
            if fields.iter().any(|(name, _)| name == key) {
                return Err(format!("the key `{key}` stands twice"));
            }
            let (value, after) = value(after).map_err(|why| format!("`{key}`: {why}"))?;
            fields.push((key.to_owned(), value));
            rest = match after.strip_prefix(' ') {
                Some(rest) => rest,
                None if after.is_empty() => break,
                None => return Err(format!("expected a space behind `{key}`, found `{after}`")),
            };
        }
        let keys: Vec<_> = fields.iter().take(3).map(|(key, _)| key.as_str()).collect();
        if keys != ["ts", "level", "event"] {
            return Err(format!("expected `ts`, `level` and `event` first, found {keys:?}"));
        }
        let shape: String = fields[0].1.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        if shape != "0000-00-00T00:00:00Z" {
            return Err(format!("expected a UTC time to the second, found `{}`", fields[0].1));
        }
        Ok(Self(fields))
    }
}

/// Reads all lines of one stream.
pub(crate) fn records(text: &str) -> Result<Vec<Record>, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(format!("the last line has no end: {text:?}"));
    }
    text.split_terminator('\n')
        .map(|line| Record::parse(line).map_err(|why| format!("no record: {why}: `{line}`")))
        .collect()
}

/// The value at the start of a text, and what follows it.
fn value(text: &str) -> Result<(String, &str), String> {
    if text.starts_with('"') {
        return quoted(text);
    }
    if let Some(mut rest) = text.strip_prefix('[') {
        while let Some(element) = rest.strip_prefix('"').map(|_| quoted(rest)) {
            rest = element?.1.trim_start_matches(',');
        }
        let rest = rest.strip_prefix('…').unwrap_or(rest);
        let after = rest.strip_prefix(']').ok_or_else(|| format!("expected `]`, found `{rest}`"))?;
        return bounded(&text[..text.len() - after.len()]).map(|list| (list.to_owned(), after));
    }
    let (bare, _) = text.split_once(' ').unwrap_or((text, ""));
    if bare.is_empty() || bare.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '=' | '\\')) {
        return Err(format!("expected a value that needs no quotes, found `{bare}`"));
    }
    Ok((bounded(bare)?.to_owned(), &text[bare.len()..]))
}

fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    let (end, _) = end.ok_or("the quotes are not closed")?;
    bounded(&text[1..end])?;
    let value = serde_json::from_str(&text[..=end]).map_err(|why| format!("not escaped as in JSON: {why}"))?;
    Ok((value, &text[end + 1..]))
}

fn bounded(value: &str) -> Result<&str, String> {
    if value.len() > MAX_VALUE_BYTES { Err(format!("a value has {} bytes", value.len())) } else { Ok(value) }
}

fn acts_on_a_reader(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[test]
fn only_well_formed_records_are_read() {
    let head = "ts=2026-01-02T03:04:05Z level=INFO event=x";
    for good in ["", " a=b", r#" a="b c""#, r#" a="""#, r#" a="\"\\\n\u2028""#, r#" a=["x","y\n"…] b=1"#, " a=[]"] {
        assert!(records(&format!("{head}{good}\n")).is_ok(), "{good}");
    }
    let long = format!(" a={}", "b".repeat(MAX_VALUE_BYTES + 1));
    for bad in [
        " a=b=c",
        " a=",
        " a",
        "  a=b",
        " a=b ",
        r#" a="b"#,
        r#" a="b"c"#,
        r#" a=b"c""#,
        " a=\u{1b}",
        " a=b\u{2028}",
        r" a=b\n",
        r#" a="\q""#,
        " A=b",
        " a=b a=c",
        " a=[",
        " a=[x]",
        &long,
        "\r",
    ] {
        assert!(records(&format!("{head}{bad}\n")).is_err(), "{bad}");
    }
    assert!(records(head).is_err());
    assert!(records("level=INFO ts=2026-01-02T03:04:05Z event=x\n").is_err());
    assert!(records("ts=now level=INFO event=x\n").is_err());
    let line = format!("{head} a=\"b \\u001b\\\"\"\n");
    assert_eq!(records(&line).unwrap()[0].field("a"), Some("b \u{1b}\""));
}
