//! The rows of `fixtures/bad-inputs.tsv` as inputs.

const TABLE: &str = include_str!("../../fixtures/bad-inputs.tsv");

/// The column `input` of one stage's rows, its escapes undone.
pub(crate) fn inputs(stage: &str) -> Vec<String> {
    let rows = TABLE.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter(|row| row.get(1) == Some(&stage)).filter_map(|row| row.get(3).map(|input| plain(input))).collect()
}

fn plain(input: &str) -> String {
    let mut text = String::new();
    let mut rest = input;
    while let Some((before, escaped)) = rest.split_once('\\') {
        text.push_str(before);
        let mut characters = escaped.chars();
        match characters.next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('0') => text.push('\0'),
            Some('x') => {
                let code = escaped.get(1..3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
                text.extend(code.map(char::from));
                characters = escaped.get(3..).unwrap_or_default().chars();
            }
            other => text.extend(other),
        }
        rest = characters.as_str();
    }
    text + rest
}
