//! How deep a TOML text nests, which its parser follows on the stack without a limit of its own.

/// Whether no more than `limit` brackets or braces are open at once, and no key has more dots. It is exact up to the
/// first mistake in a text's grammar, and there the parser stops.
pub(crate) fn is_within(text: &str, limit: usize) -> bool {
    let (mut open, mut dots) = (0_usize, 0_usize);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let len = match next {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => string_len(rest, next),
            other => other.len_utf8(),
        };
        match next {
            '[' | '{' => open += 1,
            ']' | '}' => open = open.saturating_sub(1),
            '.' => dots += 1,
            '=' | ',' | '\n' => dots = 0,
            _ => {}
        }
        if open > limit || dots > limit {
            return false;
        }
        rest = &rest[len..];
    }
    true
}

/// The length of the string that a text begins with, quotes included (TOML 1.0, "String").
fn string_len(text: &str, quote: char) -> usize {
    let three = quote.to_string().repeat(3);
    let (quotes, ends) = if text.starts_with(&three) { (three, "") } else { (quote.to_string(), "\n") };
    let mut at = quotes.len();
    while let Some(next) = text[at..].chars().next() {
        if text[at..].starts_with(&quotes) {
            // Up to two quotes may stand before the last three.
            let more =
                if quotes.len() == 3 { text[at + 3..].chars().take(2).take_while(|c| *c == quote).count() } else { 0 };
            return at + quotes.len() + more;
        }
        if ends.contains(next) {
            return at;
        }
        at += next.len_utf8();
        if next == '\\' && quote == '"' {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nests_is_counted_and_what_is_quoted_is_not() {
        for (text, depth) in [
            ("", 0),
            ("a = 1", 0),
            ("[[registry]]\n[[registry.mirror]]", 2),
            ("a = [[1], [2]]\nb = [3]", 2),
            ("a = { b = [1] }", 2),
            ("# [[[", 0),
            ("a = 1 # [[[\nb = [1]", 1),
            ("a = '[[[' # x", 0),
            ("a = \"[[[\\\"[[[\" ", 0),
            ("a = '[[\\' # ]", 0),
            ("a = '''\n[[['[''' \nb=[1]", 1),
            ("a = \"\"\"\n[[[\\\"\"\"[\"\"\"\"\"\nb=[1]", 1),
            ("a = \"]]]]\"\nb = [[1]]", 2),
            ("a = [']', ']', [[1]]]", 3),
            ("a.b.c = 1", 2),
            ("[a.b.c.d]\n[a]", 3),
            ("a = 'x.y.z.w'", 0),
            ("ä = 'ö' # ü\n\"é\" = [1]", 1),
            ("a = 'x", 0),
            ("a = '''x", 0),
            ("a = \"x\\", 0),
        ] {
            assert!(is_within(text, depth), "{text} nests {depth} deep");
            assert!(depth == 0 || !is_within(text, depth - 1), "{text} nests {depth} deep");
        }
    }

    #[test]
    fn deepest_text_is_parsed_on_a_small_stack() {
        let level = |n: usize| format!("{{{}b = ", "a.".repeat(n));
        let deep = |opened: usize, dots: usize| format!("x = {}1{}", level(dots).repeat(opened), "}".repeat(opened));
        for text in [deep(16, 16), format!("x = {}{}", "[".repeat(16), "]".repeat(16))] {
            assert!(is_within(&text, 16));
            assert!(crate::Registries::none().and(&text).is_ok());
        }
        assert!(!is_within(&deep(17, 0), 16) && !is_within(&deep(1, 17), 16));
    }
}
