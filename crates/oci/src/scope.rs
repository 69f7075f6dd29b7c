//! What one wants to be let in for (distribution, "Token Scope Documentation").

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
            // The registry knows best what a read takes.
            Self::Pull { .. } if challenged().next().is_some() => Vec::new(),
            Self::Pull { repository } => vec![format!("repository:{repository}:pull")],
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
        for (name, scope, challenged, expected) in [
            ("registry", &Scope::Registry, None, ""),
            ("registry, challenged", &Scope::Registry, Some("registry:catalog:*"), "registry:catalog:*"),
            ("pull", &pull, None, "repository:a/b:pull"),
            ("pull, challenged", &pull, Some("repository:a/b:pull"), "repository:a/b:pull"),
            ("pull, other name", &pull, Some("repository:x/a/b:pull"), "repository:x/a/b:pull"),
            ("pull, empty challenge", &pull, Some(" "), "repository:a/b:pull"),
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
