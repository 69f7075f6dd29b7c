# What was there before a reader follows a page: a root with a plugin, and the log of a pod that did not start.
package=oci://ghcr.io/my-org/my-hello:1.2.3
export HOME="$HOME/before"
mkdir -p "$HOME" dynamic-plugins-root
printf %s "$REGISTRY_TOKEN" | butler-plugin-publisher login ghcr.io --username my-robot --password-stdin 2> /dev/null
integrity=$(butler-plugin-publisher integrity $package)

list() {
  printf 'allowedSources: [oci://ghcr.io/my-org]\nplugins: [{ package: %s, integrity: %s }]\n' "$package" "$1"
}

list "$integrity" > dynamic-plugins.yaml
butler-plugin-installer --config dynamic-plugins.yaml --root dynamic-plugins-root > /dev/null

mkdir "$HOME/root"
# Of other bytes: those of the word `hello`.
list sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw== > "$HOME/list.yaml"
butler-plugin-installer --config "$HOME/list.yaml" --root "$HOME/root" > "$HOME/pod.log" 2>&1 && exit 1
grep -q event=fatal "$HOME/pod.log"

mkdir folder-with-dynamic-plugins-yaml
printf 'plugins: []\n' > folder-with-dynamic-plugins-yaml/dynamic-plugins.yaml
