//! What one wants to be let in for (distribution, "Token Scope Documentation").

/// Most scopes that are taken over from a challenge to a read.
const CHALLENGED_LIMIT: usize = 8;

/// What a session with a registry is good for. One that was opened for pulling is none for pushing: strict registries
/// refuse its token there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// To be known at all.
    Registry,
    /// To read a repository.
    Pull { repository: String },
    /// To read and write a repository, and to take blobs over from another one.
    Push { repository: String, mount_from: Option<String> },
}

impl Scope {
    /// The repository, which is empty for the registry as a whole.
    pub(crate) fn repository(&self) -> &str {
        match self {
            Self::Registry => "",
            Self::Pull { repository } | Self::Push { repository, .. } => repository,
        }
    }

    /// What is asked of a token server where the registry's challenge names these scopes (separated by blanks).
    pub(crate) fn asked(&self, challenged: Option<&str>) -> Vec<String> {
        let challenged = || challenged.into_iter().flat_map(str::split_ascii_whitespace).map(str::to_owned);
        let mut asked = match self {
            Self::Registry => Vec::new(),
            Self::Pull { repository } => return to_read(repository, challenged()),
            Self::Push { repository, mount_from } => {
                let mount = mount_from.iter().map(|from| format!("repository:{from}:pull"));
                std::iter::once(format!("repository:{repository}:pull,push")).chain(mount).collect()
            }
        };
        // A write begins with reads, and a challenge to those knows nothing of what comes after.
        let own: Vec<String> = asked.iter().filter_map(|scope| Some(resource(scope)?.to_owned())).collect();
        asked.extend(challenged().filter(|scope| !own.iter().any(|own| resource(scope) == Some(own))));
        asked
    }
}

/// The registry knows best in which repositories a read takes place, as one behind a prefix has other names for them.
/// Nothing but reading is asked for there: a token may not be able to do more than its errand.
fn to_read(repository: &str, challenged: impl Iterator<Item = String>) -> Vec<String> {
    let mut asked: Vec<String> = Vec::new();
    for scope in challenged.filter_map(|scope| reading(&scope)) {
        if asked.len() < CHALLENGED_LIMIT && !asked.contains(&scope) {
            asked.push(scope);
        }
    }
    if asked.is_empty() {
        asked.push(format!("repository:{repository}:pull"));
    }
    asked
}

/// What of a scope is about reading a repository.
fn reading(scope: &str) -> Option<String> {
    let (resource, actions) = scope.rsplit_once(':')?;
    let is_named = resource.strip_prefix("repository:").is_some_and(|name| !name.is_empty());
    (is_named && actions.split(',').any(|action| matches!(action, "pull" | "*"))).then(|| format!("{resource}:pull"))
}

/// `repository:name` of `repository:name:actions`.
fn resource(scope: &str) -> Option<&str> {
    scope.rsplit_once(':').map(|(resource, _)| resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_asked_for_what_is_wanted_and_for_what_the_registry_names() {
        let pull = Scope::Pull { repository: "a/b".to_owned() };
        let push = Scope::Push { repository: "a/b".to_owned(), mount_from: None };
        let mount = Scope::Push { repository: "a/b".to_owned(), mount_from: Some("c".to_owned()) };
        let names = |count| (0..count).map(|n| format!("repository:n{n}:pull")).collect::<Vec<_>>().join(" ");
        for (name, scope, challenged, expected) in [
            ("registry", &Scope::Registry, None, ""),
            ("registry, challenged", &Scope::Registry, Some("registry:catalog:*"), "registry:catalog:*"),
            ("pull", &pull, None, "repository:a/b:pull"),
            ("pull, challenged", &pull, Some("repository:a/b:pull"), "repository:a/b:pull"),
            ("pull, other name", &pull, Some("repository:x/a/b:pull"), "repository:x/a/b:pull"),
            ("pull, empty challenge", &pull, Some(" "), "repository:a/b:pull"),
            (
                "pull, several names",
                &pull,
                Some("repository:a/b:pull repository:c:pull"),
                "repository:a/b:pull repository:c:pull",
            ),
            (
                "pull, name with a port",
                &pull,
                Some("repository:r.example.com:5000/b:pull"),
                "repository:r.example.com:5000/b:pull",
            ),
            ("pull, the same twice", &pull, Some("repository:c:pull repository:c:pull,push"), "repository:c:pull"),
            ("pull, more than reading", &pull, Some("repository:a/b:push,delete,pull"), "repository:a/b:pull"),
            ("pull, everything", &pull, Some("repository:a/b:*"), "repository:a/b:pull"),
            ("pull, no reading", &pull, Some("repository:c:push,delete repository:c:pulls"), "repository:a/b:pull"),
            ("pull, catalogue", &pull, Some("registry:catalog:*"), "repository:a/b:pull"),
            ("pull, catalogue, too", &pull, Some("registry:catalog:* repository:c:pull"), "repository:c:pull"),
            (
                "pull, another class",
                &pull,
                Some("repository(plugin):c:pull registry:repository:c:pull"),
                "repository:a/b:pull",
            ),
            ("pull, no name", &pull, Some("repository::pull repository:pull pull :"), "repository:a/b:pull"),
            ("pull, most names", &pull, Some(&names(CHALLENGED_LIMIT)), &names(CHALLENGED_LIMIT)),
            ("pull, one name more", &pull, Some(&names(CHALLENGED_LIMIT + 1)), &names(CHALLENGED_LIMIT)),
            ("push, catalogue", &push, Some("registry:catalog:*"), "repository:a/b:pull,push registry:catalog:*"),
            ("push", &push, None, "repository:a/b:pull,push"),
            ("push, challenged by a read", &push, Some("repository:a/b:pull"), "repository:a/b:pull,push"),
            (
                "push, other name",
                &push,
                Some("repository:x/a/b:push,pull"),
                "repository:a/b:pull,push repository:x/a/b:push,pull",
            ),
            (
                "mount",
                &mount,
                Some("repository:a/b:pull,push repository:c:pull"),
                "repository:a/b:pull,push repository:c:pull",
            ),
        ] {
            assert_eq!(scope.asked(challenged).join(" "), expected, "{name}");
        }
    }
}
