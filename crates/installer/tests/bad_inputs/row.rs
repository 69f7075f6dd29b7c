//! What a line of the table says.

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) stage: String,
    pub(crate) class: String,
    /// As written; see [`value`](Self::value).
    pub(crate) input: String,
    pub(crate) given: String,
    /// Any one of these.
    pub(crate) expect: Vec<Expect>,
    /// Any one of these.
    pub(crate) reasons: Vec<String>,
    pub(crate) promises: Vec<Promise>,
    /// What must hold and is no promise with a code: the builder of the case checks it.
    pub(crate) own_condition: String,
}

/// What becomes of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It is let through; as the world of a case serves it, it is installed.
    PassStage,
    Accept,
    Reject,
    /// Accepted or rejected.
    Either,
    /// Accepted, with a warning.
    Warn,
    /// Nothing is begun.
    StartupError,
}

/// What holds whatever the outcome is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// No name is resolved, nothing is connected to.
    N0,
    /// Nothing is changed outside the root, and no staging folder is left in it.
    W0,
    /// Nothing new is visible on the root.
    V0,
    /// The copy installed before is untouched, in a fail-closed run.
    P0,
    /// No credential reaches another origin.
    C0,
    /// No secret is in any output.
    S0,
    /// Less than 64 MiB of memory.
    M0,
    /// An end before the deadline.
    T0,
    /// No panic, no signal.
    X0,
    /// A log that can be parsed, with one outcome for each plugin.
    L1,
}

impl Row {
    /// Reads a line: nine columns with a tab between them.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let columns: Vec<_> = line.split('\t').collect();
        let [id, stage, class, input, given, expect, reason, must_hold, _reference] = columns[..] else {
            return Err(format!("expected 9 columns, found {}", columns.len()));
        };
        let (promises, own_condition) = promises(must_hold);
        Ok(Self {
            id: id.to_owned(),
            stage: stage.to_owned(),
            class: class.to_owned(),
            input: input.to_owned(),
            given: given.to_owned(),
            expect: expect.split('|').map(Expect::parse).collect::<Result<_, _>>()?,
            reasons: reason.split('|').filter(|reason| !reason.is_empty()).map(str::to_owned).collect(),
            promises,
            own_condition,
        })
    }

    /// The input with its escapes resolved.
    pub(crate) fn value(&self) -> Result<String, String> {
        unescape(&self.input)
    }

    /// That the input is a description which nothing turns into a case.
    pub(crate) fn without_builder(&self) -> String {
        let Self { id, stage, input, .. } = self;
        format!("there is no builder for `{id}`, whose input is a description: `{input}`; add one to stage `{stage}`")
    }
}

impl Expect {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "pass_stage" => Self::PassStage,
            "accept" => Self::Accept,
            "reject" => Self::Reject,
            "either" => Self::Either,
            "warn" => Self::Warn,
            "startup_error" => Self::StartupError,
            other => return Err(format!("expected an outcome, found `{other}`")),
        })
    }
}

/// The codes, and the words beside them. A code that is meant for one thing only, as in `N0 for that realm`, or for
/// another time, as in `V0 between the runs`, is no promise but one of the words.
fn promises(text: &str) -> (Vec<Promise>, String) {
    let mut promises = Vec::new();
    let mut words = Vec::new();
    for clause in text.split(", ") {
        let mut rest = clause.trim();
        while let Some((promise, after)) = promise(rest).filter(|(_, after)| !is_narrowed(after)) {
            promises.push(promise);
            rest = after;
        }
        if !rest.is_empty() {
            words.push(rest);
        }
    }
    (promises, words.join(", "))
}

fn is_narrowed(after: &str) -> bool {
    ["for ", "between "].iter().any(|word| after.starts_with(word))
}

/// The code that a text begins with, and what follows it.
fn promise(text: &str) -> Option<(Promise, &str)> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let promise = match word {
        "N0" => Promise::N0,
        "W0" => Promise::W0,
        "V0" => Promise::V0,
        "P0" => Promise::P0,
        "C0" => Promise::C0,
        "S0" => Promise::S0,
        "M0" => Promise::M0,
        "T0" => Promise::T0,
        "X0" => Promise::X0,
        "L1" => Promise::L1,
        _ => return None,
    };
    Some((promise, rest.trim_start()))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        value.push_str(before);
        let hex = |digits: usize| {
            let code = after.get(1..=digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
            code.and_then(char::from_u32).map(|c| (c, digits + 1))
        };
        let known = match after.as_bytes().first() {
            Some(b'\\') => Some(('\\', 1)),
            Some(b'n') => Some(('\n', 1)),
            Some(b't') => Some(('\t', 1)),
            Some(b'r') => Some(('\r', 1)),
            Some(b'x') => hex(2),
            Some(b'u') => hex(4),
            _ => None,
        };
        let (character, len) = known.ok_or_else(|| format!("expected an escape, found `\\{after}`"))?;
        value.push(character);
        rest = &after[len..];
    }
    value.push_str(rest);
    Ok(value)
}
