//! Text that compressors take for JavaScript: made, not copied, and the same each time.

use super::noise::Xorshift;

/// What a file's own names are made of, two or three of them each.
const PARTS: [&str; 48] = [
    "entity", "catalog", "config", "request", "response", "router", "plugin", "module", "logger", "token", "user",
    "group", "owner", "page", "table", "column", "filter", "query", "result", "error", "handler", "service", "client",
    "server", "cache", "store", "state", "action", "event", "listener", "option", "default", "value", "index", "count",
    "path", "file", "stream", "buffer", "parser", "schema", "field", "type", "name", "label", "context", "scope",
    "key",
];
/// Lines of a program; each `$` is one of the file's names, each `#` a number.
const LINES: [&str; 24] = [
    "const $ = require('./$');\n",
    "const { $, $ } = require('$');\n",
    "exports.$ = $;\n",
    "/**\n * Returns the $ of a $, or undefined.\n *\n * @param {$} $\n */\n",
    "function $($, $) {\n",
    "}\n\n",
    "  return $;\n",
    "  const $ = $.$($);\n",
    "  const $ = await this.$.$({ $, $: $ });\n",
    "  if (!$) {\n    throw new Error(`$ is not a $`);\n  }\n",
    "  if ($ === undefined || $.length > #) {\n    return;\n  }\n",
    "  for (const $ of $) {\n    $.push($.$);\n  }\n",
    "  this.$ = $ ?? #;\n",
    "  $.$ = function ($) {\n    return $.$.map(it => it.$);\n  };\n",
    "  // See the $ for what a $ may be: $, $ or $.\n",
    "  switch ($.$) {\n    case '$':\n      return #;\n    default:\n      break;\n  }\n",
    "  Object.defineProperty(exports, '$', { enumerable: true, get: function () { return $.$; } });\n",
    "  try {\n    await $.$();\n  } catch ($) {\n    this.$.warn(`could not $ the $`, $);\n  }\n",
    "  $: '$',\n",
    "  $: { type: '$', default: # },\n",
    "  var $ = arguments.length > # && arguments[#] !== undefined ? arguments[#] : {};\n",
    "export class $ extends $ {\n",
    "  async $($) {\n",
    "  };\n",
];
/// Names in one file. More of them compress worse.
const NAMES: usize = 40;

/// A file of `len` bytes, another one for each `seed`.
pub(super) fn script(seed: u64, len: usize) -> String {
    let mut random = Xorshift::new(seed);
    let names: Vec<String> = (0..NAMES).map(|_| name(&mut random)).collect();
    let mut text = String::with_capacity(len + 256);
    while text.len() < len {
        for piece in random.pick(&LINES).split_inclusive(['$', '#']) {
            text.push_str(piece.trim_end_matches(['$', '#']));
            match piece.as_bytes().last() {
                // The first ones are used most: of two picks the smaller.
                Some(b'$') => text.push_str(&names[random.below(NAMES).min(random.below(NAMES))]),
                Some(b'#') => text.push_str(&random.below(100).to_string()),
                _ => {}
            }
        }
    }
    text.truncate(len);
    text
}

fn name(random: &mut Xorshift) -> String {
    let mut name = random.pick(&PARTS).to_owned();
    for _ in 0..=random.below(2) {
        let part = random.pick(&PARTS);
        name.push_str(&part[..1].to_uppercase());
        name.push_str(&part[1..]);
    }
    name
}
