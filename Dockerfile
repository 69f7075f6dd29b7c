# The installer's image by an engine: one static binary and a CA bundle, for a read-only root file system.
#
# The image that is released is `dist/image`, which `cargo xtask dist` makes without one (docs/guides/release.md). This
# one holds and says the same, under another digest, for those who have no Rust at hand or want something more in it.
#
# With Rust at hand:    cargo xtask dist
# With an engine alone: docker build --target dist --output dist .
# Then, either way:     docker build --tag butler-portal-plugin-installer .
#
# The last stage takes `dist/` from the build context, never from a stage: it needs no network and no base image, and
# what was checked by `cargo xtask dist` is what runs.

FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates musl-tools
WORKDIR /butler-plugins
COPY . .
RUN cargo xtask dist

# Only the result, for `--output`.
FROM scratch AS dist
COPY --from=build /butler-plugins/dist /

FROM scratch
COPY dist/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY dist/butler-plugin-installer /usr/local/bin/butler-plugin-installer
# Another name for it, by which it speaks the rhdh dialect: a link, which stays one only if its folder is copied.
COPY dist/names/ /
# By number: there is no passwd file. It is the user that the chart's fsGroup is made for.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/butler-plugin-installer"]
