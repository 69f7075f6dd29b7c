//! The names of Docker Hub, the only registry that goes by several.

/// Docker Hub's name in references.
pub(crate) const DOCKER_HUB: &str = "docker.io";
/// The host of its API.
pub(crate) const DOCKER_HUB_API: &str = "registry-1.docker.io";
/// What credential stores are asked for.
pub(crate) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// The one name of a registry (host, with its port where it has one): Docker Hub's in references for all of its names,
/// every other registry's own.
pub(crate) fn one_name(registry: &str) -> &str {
    match registry.strip_suffix(":443").unwrap_or(registry) {
        DOCKER_HUB | DOCKER_HUB_API | "index.docker.io" => DOCKER_HUB,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_docker_hub_has_several_names() {
        for (registry, expected) in [
            ("docker.io", DOCKER_HUB),
            ("index.docker.io", DOCKER_HUB),
            ("registry-1.docker.io:443", DOCKER_HUB),
            ("docker.io:5000", "docker.io:5000"),
            ("auth.docker.io", "auth.docker.io"),
            ("evil-docker.io", "evil-docker.io"),
            ("ghcr.io:443", "ghcr.io"),
        ] {
            assert_eq!(one_name(registry), expected, "{registry}");
        }
    }
}
