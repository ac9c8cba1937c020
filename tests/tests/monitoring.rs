//! What watches mailauth: fail2ban, monit, Nagios' and Icinga's plugin, Prometheus and Grafana, with the files in
//! packaging/monitoring and the real programs.

#[path = "monitoring/dashboard.rs"]
mod dashboard;
#[path = "monitoring/fail2ban.rs"]
mod fail2ban;
#[path = "monitoring/monit.rs"]
mod monit;
#[path = "monitoring/plugin.rs"]
mod plugin;
#[path = "monitoring/prometheus.rs"]
mod prometheus;
#[path = "monitoring/supervisors.rs"]
mod supervisors;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than any of this takes.
const LONG: Duration = Duration::from_secs(30);

/// Returns the path of a file that packages install.
fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/monitoring").join(name)
}

/// Returns the text of a file of the repository.
fn text_of(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// Returns the path of a file that tests/run has unpacked from Debian's packages.
fn unpacked(name: &str) -> PathBuf {
    let path = Path::new("/var/cache/mailauth-tests").join(name);
    assert!(path.exists(), "there is no {}; tests/run unpacks it", path.display());
    path
}

/// Returns the folder of libraries in a folder that tests/run has unpacked, for [`unpacked`].
fn libraries(name: &str) -> PathBuf {
    Path::new(name).join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH))
}
