//! The core schema: what an unquoted word means (YAML 1.2.2, section 10.3.2).

/// A scalar's meaning. Numbers are kept as canonical text, which every reader takes for the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(String),
    Float(String),
    Text(String),
}

/// A number that is too large to be written in decimal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl Scalar {
    /// What an untagged plain scalar means.
    pub(crate) fn plain(text: &str) -> Result<Self, TooLarge> {
        Ok(match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" => Self::Bool(true),
            "false" | "False" | "FALSE" => Self::Bool(false),
            ".nan" | ".NaN" | ".NAN" => Self::Float(".nan".to_owned()),
            _ => match (integer(text)?, float(text)) {
                (Some(int), _) => Self::Int(int),
                (None, Some(float)) => Self::Float(float),
                (None, None) => Self::Text(text.to_owned()),
            },
        })
    }

    /// A key's meaning. Portals turn every key into a string, so a plain one that reads the same either way is one.
    pub(crate) fn into_key(self, text: &str) -> Self {
        if self != Self::Null && self.written() == text { Self::Text(text.to_owned()) } else { self }
    }

    /// The canonical text.
    pub(crate) fn written(&self) -> &str {
        match self {
            Self::Null => "null",
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Int(text) | Self::Float(text) | Self::Text(text) => text,
        }
    }
}

/// The boolean that a text stands for in YAML 1.1 (<https://yaml.org/type/bool.html>), in any case.
pub(crate) fn boolean_word(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "on" => Some(true),
        "false" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Result<Option<String>, TooLarge> {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|digit| digit.is_digit(radix))
        {
            return u128::from_str_radix(digits, radix).map(|number| Some(number.to_string())).map_err(|_| TooLarge);
        }
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let digits = digits.trim_start_matches('0');
    Ok(Some(if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}") }))
}

/// The shortest text of the same double, with the point and the signed exponent that YAML 1.1 asks for.
fn float(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(if text.starts_with('-') { "-.inf" } else { ".inf" }.to_owned());
    }
    let mantissa = unsigned.split(['e', 'E']).next()?;
    if !mantissa.bytes().any(|byte| byte.is_ascii_digit())
        || !unsigned.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    if number.is_infinite() {
        return Some(if number > 0.0 { ".inf" } else { "-.inf" }.to_owned());
    }
    let shortest = format!("{number:?}");
    Some(match shortest.split_once('e') {
        None => shortest,
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{mantissa}{point}e{sign}{exponent}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_mean_what_the_core_schema_says() {
        let int = |text: &str| Scalar::Int(text.to_owned());
        let float = |text: &str| Scalar::Float(text.to_owned());
        let text = |text: &str| Scalar::Text(text.to_owned());
        for (written, meaning) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("nUll", text("nUll")),
            ("True", Scalar::Bool(true)),
            ("yes", text("yes")),
            ("off", text("off")),
            ("0", int("0")),
            ("-0", int("0")),
            ("+12", int("12")),
            ("-12", int("-12")),
            ("007", int("7")),
            ("0o17", int("15")),
            ("0xfF", int("255")),
            ("0x", text("0x")),
            ("0o8", text("0o8")),
            ("-0x1", text("-0x1")),
            ("123456789012345678901234567890", int("123456789012345678901234567890")),
            ("1_000", text("1_000")),
            ("1:30", text("1:30")),
            ("1.", float("1.0")),
            (".5", float("0.5")),
            ("-1.50", float("-1.5")),
            ("1e3", float("1000.0")),
            ("1E-7", float("1.0e-7")),
            ("1e30", float("1.0e+30")),
            ("1.5e+30", float("1.5e+30")),
            ("1e999", float(".inf")),
            ("-.Inf", float("-.inf")),
            (".NaN", float(".nan")),
            ("inf", text("inf")),
            ("nan", text("nan")),
            (".", text(".")),
            ("+", text("+")),
            ("-", text("-")),
            ("e3", text("e3")),
            (".e3", text(".e3")),
            ("1e", text("1e")),
            ("1.2.3", text("1.2.3")),
            ("--1", text("--1")),
            ("2024-01-01", text("2024-01-01")),
        ] {
            assert_eq!(Scalar::plain(written), Ok(meaning), "{written}");
        }
        assert_eq!(Scalar::plain(&format!("0x{}", "f".repeat(33))), Err(TooLarge));
    }
}
