//! Where plugins are published: Debian's registry, to which our publisher pushes, and nginx with an authority of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use integrity::Integrity;
use serde_json::Value;
use testkit::{Ca, DockerRegistry};

use super::process::{self, Running};

/// Where Debian puts it: only root's PATH leads there.
pub(super) const NGINX: &str = "/usr/sbin/nginx";
/// It starts in no time; this is for a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// What an operator lists.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) package: String,
    pub(super) integrity: String,
}

/// A registry and a server, both on loopback, until it is dropped.
pub(super) struct Market {
    publisher: PathBuf,
    registry: DockerRegistry,
    _nginx: Running,
    port: u16,
    folder: PathBuf,
}

/// What to do about a tag that is there with other bytes.
#[derive(Clone, Copy)]
pub(super) enum Tag {
    Keep,
    Replace,
}

impl Market {
    /// Opens both; what they serve and say lies in `folder`.
    pub(super) fn open(publisher: PathBuf, folder: PathBuf) -> anyhow::Result<Self> {
        let files = folder.join("files");
        fs::create_dir_all(&files).with_context(|| format!("could not create `{}`", files.display()))?;
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).with_context(|| format!("could not write `{name}`"))
        };
        let ca = Ca::new();
        let leaf = ca.leaf(&[]);
        write("ca.pem", &ca.pem())?;
        write("certificate.pem", &leaf.certificate)?;
        write("key.pem", &leaf.key)?;
        let port = process::free_port()?;
        write("nginx.conf", &nginx_conf(&folder, port))?;
        let mut nginx = Command::new(NGINX);
        nginx.arg("-e").arg(folder.join("nginx-errors.log")).arg("-c").arg(folder.join("nginx.conf"));
        let mut nginx = Running::start("nginx", &mut nginx, &folder.join("nginx.log"))?;
        nginx.wait_until(PATIENCE, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?;
        Ok(Self { publisher, registry: DockerRegistry::open(), _nginx: nginx, port, folder })
    }

    /// The sources that an operator allows: this registry and this server.
    pub(super) fn prefixes(&self) -> [String; 2] {
        [format!("oci://{}/my-org", self.registry.host()), format!("https://127.0.0.1:{}/plugins", self.port)]
    }

    /// The authority behind the server's certificate.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Lets our publisher push a plugin's folder or tarball, and returns what it hands over.
    pub(super) fn push(&self, plugin: &Path, name_and_tag: &str, tag: Tag) -> anyhow::Result<Entry> {
        let reference = format!("oci://{}/my-org/{name_and_tag}", self.registry.host());
        let mut push = Command::new(&self.publisher);
        push.arg("push").arg(plugin).args([&reference, "--output", "json"]);
        if matches!(tag, Tag::Replace) {
            push.arg("--force");
        }
        let done = push.env_clear().output().context("could not start the publisher")?;
        let (stdout, stderr) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        ensure!(done.status.success(), "expected the publisher to push `{reference}`, found {}: {stderr}", done.status);
        let handover: Value = serde_json::from_str(&stdout).context("the publisher printed no JSON")?;
        let value = |key: &str| handover["plugins"][0][key].as_str().map(str::to_owned);
        let entry = value("package").zip(value("integrity"));
        let (package, integrity) = entry.with_context(|| format!("the publisher hands over no entry: {handover}"))?;
        Ok(Entry { package, integrity })
    }

    /// Lays a tarball where the server finds it.
    pub(super) fn serve(&self, tarball: &Path, integrity: &Integrity) -> anyhow::Result<Entry> {
        let name = tarball.file_name().context("a tarball has a name")?;
        fs::copy(tarball, self.folder.join("files").join(name))
            .with_context(|| format!("could not copy `{}`", tarball.display()))?;
        let package = format!("https://127.0.0.1:{}/plugins/{}", self.port, name.to_string_lossy());
        Ok(Entry { package, integrity: integrity.to_string() })
    }
}

fn nginx_conf(folder: &Path, port: u16) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|kind| format!("    {kind}_temp_path {};\n", at("nginx-temporary"))).concat();
    format!(
        "daemon off;\nmaster_process off;\npid {pid};\nevents {{}}\nhttp {{\n    access_log off;\n{temporary}    \
         server {{\n        listen 127.0.0.1:{port} ssl;\n        ssl_certificate {certificate};\n        \
         ssl_certificate_key {key};\n        location /plugins/ {{ alias {files}/; }}\n    }}\n}}\n",
        pid = at("nginx.pid"),
        certificate = at("certificate.pem"),
        key = at("key.pem"),
        files = at("files"),
    )
}
