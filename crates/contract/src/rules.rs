//! The table of rules.

/// One thing that a portal, or the installer before it, expects of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// A stable name in kebab case.
    pub id: &'static str,
    /// How bad it is to break it.
    pub level: Level,
    /// What is wrong when it is broken.
    pub title: &'static str,
    /// What happens in the portal otherwise.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The plugin works, and something about it is likely to hurt later.
    Warning,
    /// The plugin cannot be installed or does not work.
    Error,
}

impl Level {
    /// `error` or `warning`, as SARIF names them.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Makes a constant of each rule, and the list of all.
macro_rules! rules {
    ($($name:ident: $id:literal, $level:ident, $title:literal, $why:literal, $fix:literal;)+) => {
        $(pub(crate) const $name: Rule =
            Rule { id: $id, level: Level::$level, title: $title, why: $why, fix: $fix };)+

        /// Every rule, in the order in which findings are told.
        pub const RULES: &[Rule] = &[$($name),+];
    };
}

rules! {
    ARCHIVE_INVALID: "archive-invalid", Error,
        "The archive cannot be unpacked",
        "The installer takes one gzip member around one well-formed tar, the plugin in `package/` on top, each path once. It rejects whatever two programs could unpack differently.",
        "Pack the exported folder again, with `butler-plugin-publisher pack` or `npm pack`; of an image with other folders, select one that is in it with `!<folder>`.";
    PACKAGE_JSON_MISSING: "package-json-missing", Error,
        "There is no `package.json`",
        "The installer rejects the plugin; a portal that finds such a folder logs an error at every start.",
        "Check and pack the exported folder, `dist-dynamic`, itself: its `package.json` is on top and a regular file.";
    PACKAGE_JSON_INVALID: "package-json-invalid", Error,
        "`package.json` cannot be read",
        "The installer rejects the plugin: it takes a JSON object of at most 1 MiB in which no key stands twice.",
        "Correct the file, or export the plugin again.";
    NAME_INVALID: "name-invalid", Error,
        "`name` is missing or no package name",
        "The name decides the plugin's folder; without one that npm would take, the installer rejects the plugin.",
        "Set `name` to a lower-case npm package name.";
    VERSION_INVALID: "version-invalid", Error,
        "`version` is missing or ill-formed",
        "The installer rejects the plugin, and the portal finds a scanned plugin by its name and version.",
        "Set `version`.";
    ROLE_INVALID: "role-invalid", Error,
        "`backstage.role` is missing or ill-formed",
        "The installer rejects the plugin; the portal's scanner leaves it out.",
        "Set `backstage.role`, or export the plugin with `rhdh-cli plugin export`, which fills it in.";
    ROLE_UNKNOWN: "role-unknown", Error,
        "`backstage.role` is no role that Backstage knows",
        "The portal asks for the role's platform before anything else. For an unknown role that fails, and the start of the whole backend with it.",
        "Correct `backstage.role`: `backend-plugin`, `backend-plugin-module`, `frontend-plugin` or `frontend-plugin-module`.";
    ROLE_NOT_DYNAMIC: "role-not-dynamic", Error,
        "`backstage.role` is not one of a plugin",
        "The portal skips libraries, applications and command-line tools with no more than an info line.",
        "Publish the plugin or module itself; export libraries as part of the plugins that use them.";
    MAIN_MISSING: "main-missing", Error,
        "`main` is missing",
        "The portal's scanner leaves out every plugin without it, frontends too, although nothing reads a frontend's.",
        "Set `main`: `dist/index.cjs.js` in a backend, any text in a frontend, such as `dist/remoteEntry.js`.";
    MAIN_OUTSIDE: "main-outside", Error,
        "`main` leaves the plugin's folder",
        "What lies outside is not in the package, or is the code of another plugin.",
        "Set `main` to a relative path inside the plugin.";
    MAIN_FILE_MISSING: "main-file-missing", Error,
        "The file of `main` does not exist",
        "The portal cannot load the backend plugin and goes on without it.",
        "Build and export the plugin again, and see that `files` in its `package.json` keeps `dist`.";
    MAIN_ESM: "main-esm", Error,
        "`main` is an ES module",
        "The portal loads backends with `require`, as CommonJS; an ES module fails there, or works on some Node versions only.",
        "Build CommonJS: `backstage-cli package build` writes `dist/index.cjs.js`; leave out `\"type\": \"module\"`.";
    MAIN_NO_DEFAULT_EXPORT: "main-no-default-export", Error,
        "`main` has no default export",
        "The portal takes a backend feature from the default export, or an installer named `dynamicPluginInstaller`. It finds neither and goes on without the plugin.",
        "Export the result of `createBackendPlugin` or `createBackendModule` as the default.";
    ALPHA_INVALID: "alpha-invalid", Error,
        "`alpha/` has no usable `package.json`",
        "The portal prefers a backend's `alpha` entry, and its scanner leaves out every plugin with such a folder where it cannot read one.",
        "Remove the folder `alpha`, or export the plugin again so that it has its `package.json`.";
    DEPENDENCY_MISSING: "dependency-missing", Error,
        "A dependency that the backend asks for is not in `node_modules`",
        "The portal has its own `@backstage` packages, which an exported plugin names as peers; everything else a backend brings along. Without it, `require` fails when the plugin is loaded.",
        "Export the plugin again and pack it with `node_modules`, or compile the dependency into `dist`.";
    MF_MANIFEST_MISSING: "mf-manifest-missing", Error,
        "There is no `dist/mf-manifest.json`",
        "The portal's backend logs an error and does not offer the frontend to any browser.",
        "Export the plugin with Module Federation assets: `rhdh-cli plugin export --generate-module-federation-assets`.";
    MF_MANIFEST_INVALID: "mf-manifest-invalid", Error,
        "`dist/mf-manifest.json` cannot be read",
        "The portal's backend logs an error and does not offer the frontend to any browser.",
        "Export the plugin again: it must be a JSON object of at most 4 MiB.";
    MF_NAME_MISSING: "mf-name-missing", Error,
        "The federation manifest has no `name`",
        "The portal registers the frontend under that name and leaves it out without one.",
        "Export the plugin again, with Module Federation assets.";
    MF_REMOTE_ENTRY_MISSING: "mf-remote-entry-missing", Error,
        "The federation manifest names no remote entry",
        "The portal leaves the frontend out: it finds no `metaData.remoteEntry.name`.",
        "Export the plugin again, with Module Federation assets.";
    REMOTE_ENTRY_FILE_MISSING: "remote-entry-file-missing", Error,
        "The remote entry does not exist",
        "The browser asks for the file that `metaData.remoteEntry` names, gets a 404, and the frontend does not load.",
        "Export the plugin again, and pack all of `dist`.";
    MF_GLOBAL_NAME_MISSING: "mf-global-name-missing", Error,
        "The federation manifest has no `metaData.globalName`",
        "The browser looks up the loaded container under that name and finds nothing.",
        "Export the plugin again, with Module Federation assets.";
    MF_PUBLIC_PATH_MISSING: "mf-public-path-missing", Error,
        "The federation manifest has no `metaData.publicPath`",
        "The browser cannot tell where the remote entry and its chunks are.",
        "Build with the public path `auto`.";
    MF_PUBLIC_PATH_FIXED: "mf-public-path-fixed", Warning,
        "`metaData.publicPath` is not `auto`",
        "The browser loads the plugin from that fixed place, and not from the portal that it is installed in.",
        "Build with the public path `auto`.";
    MF_EXPOSE_MISSING: "mf-expose-missing", Error,
        "The federation manifest exposes no `.`",
        "The portal loads the module at `.` and finds no plugin in the frontend.",
        "Expose the plugin's entry as `.`, which is what the exporter does; each entry of `exposes` needs `name` and `path`.";
    STYLES_NOT_SHARED: "styles-not-shared", Error,
        "`@material-ui/core/styles` is shared without `@material-ui/styles`",
        "The theme goes through two copies of the style engine, and the first render fails: `theme.spacing is not a function`.",
        "Share `@material-ui/styles` as a singleton too.";
    REACT_BUNDLED: "react-bundled", Error,
        "The frontend brings its own copy of React",
        "Two copies of React on one page do not see each other's hooks and contexts; the first hook throws.",
        "Share `react` and `react-dom` as singletons, list them as peer dependencies, and export again.";
    REACT_NOT_SHARED: "react-not-shared", Warning,
        "`react` is not shared as a singleton",
        "The plugin depends on React and does not ask the portal for it, or may load a second copy when versions differ.",
        "Share `react` and `react-dom` as singletons.";
    SCALPRUM_PROVIDER: "scalprum-provider", Error,
        "The bundle wraps itself in `ScalprumProvider`",
        "That provider belongs to another host; this one has no Scalprum, and the plugin does not render.",
        "Export the plugin's component itself and leave the provider out of `dist`; what is in `dist-scalprum` does not matter here.";
    PLUGIN_EXPORTS_MISSING: "plugin-exports-missing", Error,
        "The bundle does not export `dynamicPluginsExports`",
        "The portal reads there what to mount. It skips a frontend without it, with no more than a warning in the browser's console.",
        "Export it from the plugin's entry: `export const dynamicPluginsExports = { dynamicRoutes: [{ path, importName }] }`.";
    EXPORTS_UNKNOWN: "exports-unknown", Error,
        "`dynamicPluginsExports` names what the bundle does not export",
        "The portal drops a route whose `importName` is no export of the module at `.`. Compared are each `importName` and `iconImportName` and all other names in the scripts of `dist`.",
        "Correct the name, or export what it names from the plugin's entry.";
    ENTRIES_LIMIT: "entries-limit", Error,
        "There are too many files, folders or links",
        "The installer rejects an archive with more entries than its limit.",
        "Leave tests, source maps and caches out of the package; look for a `node_modules` that was not pruned.";
    FILE_LIMIT: "file-limit", Error,
        "A file is too large",
        "The installer rejects an archive with a larger file than its limit.",
        "Leave the file out of the package, or load it at run time.";
    EXPANDED_LIMIT: "expanded-limit", Error,
        "All files together are too large",
        "The installer stops unpacking at its limit and rejects the plugin.",
        "Leave tests, source maps and caches out of the package.";
    PATH_LIMIT: "path-limit", Error,
        "A path is too deep or too long",
        "The installer rejects an archive with longer or deeper names than its limits.",
        "Leave deeply nested files out of the package, or flatten `node_modules`.";
    LINK_STRAY: "link-stray", Error,
        "A symbolic link leaves the plugin or goes round in circles",
        "Neither the packer nor the installer takes it: in the portal it would lead to something else.",
        "Replace the link by the file itself, or link within the plugin.";
    SPECIAL_FILE: "special-file", Error,
        "There is a device, pipe or socket",
        "Neither the packer nor the installer takes it.",
        "Remove it and pack only files, folders and links.";
    SECRET_FILE: "secret-file", Warning,
        "There is a file with secrets",
        "Everyone who may pull the plugin may read it; the packer refuses it unless it is allowed by name.",
        "Remove the file, and change what was in it if it was published. Test keys that a dependency ships are packed with `--allow-secret-files`.";
    NAME_UNSAFE: "name-unsafe", Error,
        "A file name is not harmless text",
        "The installer rejects names that are not UTF-8 or have control characters or backslashes: two programs could read them differently.",
        "Rename the file.";
    DESTINATION_COLLISION: "destination-collision", Error,
        "Two plugins end in one folder",
        "The folder below the plugin root follows from the name; of two plugins with one folder, the installer rejects the second.",
        "Rename one of the plugins. Two releases of one plugin are checked in calls of their own.";
}
