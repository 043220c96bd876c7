//! PostgreSQL clusters of a test's own, to be treated badly.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Disk;

/// A cluster that ends with the value, and with this process, however that
/// ends: the command under which it runs reads a pipe that only we hold.
pub(crate) struct Cluster {
    script: Child,
    url: String,
    /// The beginning of the shell command that stops and starts it.
    control: String,
}

impl Cluster {
    /// As fast as the machine allows.
    pub(crate) fn start() -> Cluster {
        Cluster::launch(script(), "")
    }

    /// One that keeps what it has acknowledged when its processes are killed.
    pub(crate) fn start_durable() -> Cluster {
        Cluster::launch(script(), "-c synchronous_commit=on")
    }

    /// The same with all that it writes on this disk.
    pub(crate) fn start_on(disk: &Disk) -> Cluster {
        let mut script = script();
        script.env("TMPDIR", disk.path());
        Cluster::launch(script, "-c synchronous_commit=on")
    }

    fn launch(mut command: Command, options: &str) -> Cluster {
        let tell = r#"echo "$TEST_POSTGRES_URL"; echo "$TEST_POSTGRES_CTL"; cat >/dev/null"#;
        let mut script = command
            .args(["sh", "-c", tell])
            .env_remove("TEST_POSTGRES_URL")
            .env("WITH_POSTGRES_OPTIONS", options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Not ours to share: it outlives us by a moment, and a test runner
            // would wait for it.
            .stderr(Stdio::piped())
            // A test runner that kills this process's group must leave the
            // script alive to clean up.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("with-postgres does not run: {error}"));
        let (mut url, mut control) = (String::new(), String::new());
        if let Some(stdout) = script.stdout.take() {
            let mut lines = BufReader::new(stdout);
            lines.read_line(&mut url).expect("the cluster's address");
            lines.read_line(&mut control).expect("how to control it");
        }
        if !url.starts_with("postgres") {
            let said = script.wait_with_output().expect("what the script says");
            panic!(
                "no PostgreSQL to test on, and TEST_POSTGRES_URL is not set: {}",
                String::from_utf8_lossy(&said.stderr)
            );
        }
        Cluster {
            script,
            url: url.trim().to_owned(),
            control: control.trim().to_owned(),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:` and its port.
    pub(crate) fn address(&self) -> &str {
        let (_, after) = self.url.split_once('@').expect("a user in the URL");
        after.split('/').next().unwrap_or(after)
    }

    /// Ends all its processes in the middle of what they are doing, so that the
    /// next start has to recover.
    pub(crate) fn stop_at_once(&self) {
        self.control("stop --mode immediate");
    }

    /// Starts it after [`Cluster::stop_at_once`], at the same address.
    pub(crate) fn start_again(&self) {
        self.control("restart");
    }

    fn control(&self, what: &str) {
        let done = Command::new("bash")
            .args(["-c", &format!("{} {what}", self.control)])
            .stdin(Stdio::null())
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "PostgreSQL can't {what}: {said}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nothing to read any more is what tells it to end.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

/// What starts clusters.
fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/with-postgres"))
}
