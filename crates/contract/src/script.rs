//! What the text of a script says about its module format and its exports, without running it.
//!
//! Each answer is about what is certain: bundlers write exports in many ways, and a doubt counts for the plugin.

/// Words that may follow `export` in an ES module.
const EXPORTED: [&str; 8] = ["default", "const", "let", "var", "function", "class", "async", "enum"];

/// Where the first top-level `import` or `export` is, in a script that exports nothing to `require`.
pub(crate) fn es_module_syntax(text: &str) -> Option<usize> {
    if words(text, "exports").next().is_some() {
        return None;
    }
    let exported = words(text, "export").filter(|at| opens_statement(text, *at)).find(|at| {
        let rest = text[at + "export".len()..].trim_start();
        rest.starts_with(['{', '*']) || EXPORTED.iter().any(|word| starts_with_word(rest, word))
    });
    let imported = words(text, "import").filter(|at| opens_statement(text, *at)).find(|at| {
        let rest = text[at + "import".len()..].trim_start();
        let after_name = rest[identifier(rest).len()..].trim_start();
        rest.starts_with(['{', '*', '"', '\'']) || after_name.starts_with(',') || starts_with_word(after_name, "from")
    });
    exported.into_iter().chain(imported).min()
}

/// Whether a `CommonJS` script certainly exports neither `default` nor `dynamicPluginInstaller`.
///
/// It does if every `exports` in it is a plain export of another name. Anything else (`module.exports`, a computed name,
/// `exports` handed to a function) may export a default.
pub(crate) fn lacks_plugin_export(text: &str) -> bool {
    words(text, "exports").all(|at| {
        let before = text[..at].trim_end();
        let after = text[at + "exports".len()..].trim_start();
        if before.ends_with('.') {
            return false;
        }
        let name = if before.ends_with("defineProperty(") {
            after.strip_prefix(',').map(str::trim_start).and_then(string)
        } else if let Some(member) = after.strip_prefix('.') {
            Some(identifier(member.trim_start()))
        } else {
            after.strip_prefix('[').map(str::trim_start).and_then(string)
        };
        name.is_some_and(|name| !matches!(name, "" | "default" | "dynamicPluginInstaller"))
    })
}

/// The pieces of a script between its comments, each with its offset.
///
/// Where a regular expression or a template looks like the start of a comment, more than comments is left out.
pub(crate) fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let mut quote = None;
        while let Some(byte) = bytes.get(at) {
            match (quote, byte) {
                (_, b'\\') => at += 1,
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(_), b'\n') => quote = None,
                (Some(open), close) if open == close => quote = None,
                (None, b'/') => {
                    let end = match bytes.get(at + 1) {
                        Some(b'/') if !text[..at].ends_with(':') => "\n",
                        Some(b'*') => "*/",
                        _ => "",
                    };
                    if !end.is_empty() {
                        let piece = &text[start..at];
                        let comment = text[at..].get(2..).unwrap_or("");
                        at += 2 + comment.find(end).map_or(comment.len(), |close| close + end.len());
                        return Some((start, piece));
                    }
                }
                _ => {}
            }
            at += 1;
        }
        text.get(start..).filter(|rest| !rest.is_empty()).map(|rest| (start, rest))
    })
}

/// The specifiers that code asks for with `require` or a dynamic `import`, each with its offset.
pub(crate) fn requests(code: &str) -> impl Iterator<Item = (usize, &str)> {
    ["require", "import"].into_iter().flat_map(move |call| {
        words(code, call).filter(|at| !code[..*at].trim_end().ends_with('.')).filter_map(move |at| {
            let argument = code[at + call.len()..].trim_start().strip_prefix('(')?.trim_start();
            let specifier = string(argument)?;
            let after = argument.get(specifier.len() + 2..)?.trim_start();
            after.starts_with([')', ',']).then_some((at, specifier))
        })
    })
}

/// The string literals that are values of `key` in code, each with the offset of the key.
pub(crate) fn literals<'t>(code: &'t str, key: &'t str) -> impl Iterator<Item = (usize, &'t str)> {
    words(code, key).filter_map(move |at| {
        let after = code[at + key.len()..].trim_start_matches(['"', '\'']).trim_start();
        let value = string(after.strip_prefix(':')?.trim_start())?;
        (!value.is_empty() && !value.contains(['\\', '\n'])).then_some((at, value))
    })
}

/// Whether a script may name something so: wherever the word is more than the whole string that a key has as its value.
pub(crate) fn names(text: &str, name: &str) -> bool {
    words(text, name).any(|at| {
        let quotes = ['"', '\''];
        let is_value = text[..at].strip_suffix(quotes).is_some_and(|before| before.trim_end().ends_with(':'));
        !(is_value && text[at + name.len()..].starts_with(quotes))
    })
}

/// The offsets at which `word` stands as an identifier or property of its own.
pub(crate) fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let in_name = |char: char| char.is_alphanumeric() || matches!(char, '_' | '$');
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        !text[..*at].chars().next_back().is_some_and(in_name)
            && !text[at + word.len()..].chars().next().is_some_and(in_name)
    })
}

fn starts_with_word(text: &str, word: &str) -> bool {
    identifier(text) == word
}

/// Whether a statement may begin here: at the start of a line, after another statement or after a comment.
fn opens_statement(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end_matches([' ', '\t']);
    before.is_empty() || before.ends_with(['\n', '\r', ';', '}']) || before.ends_with("*/")
}

fn identifier(text: &str) -> &str {
    let end = text.find(|char: char| !char.is_alphanumeric() && !matches!(char, '_' | '$')).unwrap_or(text.len());
    &text[..end]
}

/// The content of the string literal that begins the text.
fn string(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|char| matches!(char, '"' | '\''))?;
    text[1..].split(quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspection::line_at;

    #[test]
    fn every_shape_that_bundlers_write_counts_as_a_default_export() {
        for (name, text) in [
            ("rollup", "exports.x = 1;\nexports.default = plugin.aboutPlugin;"),
            ("rollup, older", "exports[\"default\"] = plugin;"),
            ("single quotes", "exports['default'] = plugin;"),
            ("minified", "Object.defineProperty(exports,\"__esModule\",{value:!0}),exports.default=e;"),
            ("babel", "exports.default = void 0;"),
            ("TypeScript", "Object.defineProperty(exports, \"default\", { enumerable: true, get: function () {} });"),
            ("TypeScript, export star", "__exportStar(require(\"./plugin\"), exports);"),
            ("swc", "_export(exports, { default: function() { return _default; } });"),
            ("swc, one", "Object.defineProperty(exports, \"default\", {\n enumerable: true });"),
            (
                "esbuild",
                "__export(index_exports, { default: () => d });\nmodule.exports = __toCommonJS(index_exports);",
            ),
            ("esbuild, annotation", "0 && (module.exports = {\n  x\n});"),
            ("webpack, commonjs2", "module.exports = __webpack_exports__;"),
            ("webpack, commonjs", "for(var i in r) exports[i] = r[i];"),
            ("rspack", "exports[\"default\"] = __webpack_exports__[\"default\"];"),
            ("by hand", "module.exports = createBackendPlugin({});"),
            ("spaces", "module . exports = x"),
            ("assigned", "Object.assign(exports, require('./x'));"),
            ("another name", "const e = exports; e.default = 1;"),
            ("re-export by name", "Object.keys(p).forEach(function (k) { if (k !== 'default') exports[k] = p[k]; });"),
            ("installer", "exports.dynamicPluginInstaller = { kind: 'new' };"),
        ] {
            assert!(!lacks_plugin_export(text), "{name}");
            assert_eq!(es_module_syntax(text), None, "{name}");
        }
    }

    #[test]
    fn only_other_exports_or_none_are_certainly_no_default() {
        for (name, text) in [
            ("nothing", "'use strict';\n"),
            ("names only", "Object.defineProperty(exports, '__esModule', { value: true });\nexports.createRouter = r;"),
            ("quoted name", "exports[\"createRouter\"] = r;"),
            (
                "the helpers of rollup",
                "function d (e) { return 'default' in e ? e : { default: e }; }\nn.default = e;\nexports.x = d;",
            ),
            ("a longer word", "__webpack_exports__.default = x; exports$1.default = y;"),
        ] {
            assert!(lacks_plugin_export(text), "{name}");
        }
    }

    #[test]
    fn es_module_syntax_is_found_at_its_line() {
        for (name, text, line) in [
            ("default", "// a\nexport default plugin;\n", 2),
            ("list", "const a = 1;\nexport { a as default };", 2),
            ("star", "export * from './x';", 1),
            ("import", "'use strict';\n\nimport { x } from 'y';", 3),
            ("import of all", "import * as x from 'y';", 1),
            ("import for effect", "import 'y';", 1),
            ("import of the default", "import x from 'y';", 1),
            ("minified", "import{a as b}from\"y\";var c=b();export{c as default};", 1),
            ("after a comment", "/* x */ export class A {}", 1),
        ] {
            let at = es_module_syntax(text).unwrap();
            assert_eq!(line_at(text, at), Some(line), "{name}");
        }
    }

    #[test]
    fn what_only_looks_like_an_es_module_is_none() {
        for (name, text) in [
            ("dynamic import", "import('x').then(y);"),
            ("import.meta", "import.meta.url;"),
            ("comment", "// import x from 'y'\n * export default x"),
            ("property", "a.export = 1; b = { import: 2 };"),
            ("string", "const a = \"export default 1\";"),
            ("both, so compiled", "exports.a = 1;\nexport default 1;"),
            ("export as a name", "export.x;"),
            ("import as a name", "import.x from y"),
        ] {
            assert_eq!(es_module_syntax(text), None, "{name}");
        }
    }

    #[test]
    fn comments_are_left_out_of_code() {
        for (name, text, left) in [
            ("none", "a();b()", "a();b()"),
            ("line", "a();// b\nc()", "a();|c()"),
            ("block", "a();/* b\n'c */d()", "a();|d()"),
            ("only comments", "/**/// a", "|"),
            ("at the end", "a()//", "a()"),
            ("never closed", "a()/* b", "a()"),
            ("in strings", "a('/*', \"//\", 'http://b')", "a('/*', \"//\", 'http://b')"),
            ("after an escaped quote", "a('\\'/*')//b", "a('\\'/*')"),
            ("after a lone quote", "a(/'/)\n// b", "a(/'/)\n"),
            ("escaped in a regular expression", "a(/\\/*\\//)", "a(/\\/*\\//)"),
            ("an address outside of strings", "`http://a`;b()", "`http://a`;b()"),
            ("a backslash at the end", "a\\", "a\\"),
            ("letters of several bytes", "ä/*ö*/ü\\ß", "ä|ü\\ß"),
        ] {
            let pieces: Vec<_> = code(text).map(|(_, piece)| piece).collect();
            assert_eq!(pieces.join("|"), left, "{name}");
            assert!(code(text).all(|(at, piece)| text[at..].starts_with(piece)), "{name}");
        }
    }
}
