//! The real binary, serving an installation of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Address;
use super::database::Database;
use super::{Client, Cluster, Disk, Engine};

const BINARY: &str = env!("CARGO_BIN_EXE_dealwright");

/// How long a start or an orderly end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const KEY_PREFIX: &str = "dw_live_";
const KEY_LENGTH: usize = KEY_PREFIX.len() + 43;

/// What outlives a process: the data folder and the database. Both go with
/// the last server that uses them.
struct Installation {
    folder: tempfile::TempDir,
    data_dir: PathBuf,
    database: Option<Database>,
}

impl Installation {
    fn new(engine: Engine) -> Installation {
        let database = (engine == Engine::Postgres).then(Database::create);
        Installation::on(None, database)
    }

    /// With the data in this folder, or else in one of its own.
    fn on(data_dir: Option<PathBuf>, database: Option<Database>) -> Installation {
        let folder = tempfile::Builder::new()
            .prefix("dealwright-test-")
            .tempdir()
            .expect("a temporary folder");
        Installation {
            data_dir: data_dir.unwrap_or_else(|| folder.path().join("data")),
            folder,
            database,
        }
    }

    /// The binary, pointed at this installation and at nothing else that may
    /// be configured on this machine.
    fn command(&self) -> Command {
        self.point(Command::new(BINARY))
    }

    /// The same, begun by a shell that does something first.
    fn command_after(&self, shell: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!(r#"{shell}; exec "$0" "$@""#), BINARY]);
        self.point(command)
    }

    fn point(&self, mut command: Command) -> Command {
        for (name, _) in std::env::vars_os() {
            let told = name.to_string_lossy();
            if told.starts_with("DEALWRIGHT_") || told.starts_with("OTEL_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder.path())
            .env("DEALWRIGHT_DATA_DIR", &self.data_dir)
            .stdin(Stdio::null());
        if let Some(database) = &self.database {
            command.env("DEALWRIGHT_DATABASE_URL", database.url());
        }
        command
    }
}

/// A running server. Dropping it ends its process at once, and a test that
/// fails shows what it had printed.
pub(crate) struct Server {
    engine: Engine,
    key: String,
    options: Vec<String>,
    /// What a shell does before it becomes the server.
    shell: &'static str,
    /// What it logs, as `RUST_LOG` says it; what the environment says if none.
    logging: Option<&'static str>,
    /// Where its output goes: `<name>.stdout`, `<name>.stderr`.
    name: String,
    address: Address,
    process: Mutex<Option<Child>>,
    // Declared last: the database goes after the process that uses it.
    installation: Arc<Installation>,
}

/// A further workspace of an installation.
pub(crate) struct Workspace {
    pub(crate) id: String,
    /// A key with every scope in it.
    pub(crate) key: String,
    client: Client,
}

impl Workspace {
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }
}

impl Server {
    /// A new, empty installation, served.
    pub(crate) fn start(engine: Engine) -> Server {
        Server::start_with(engine, &[])
    }

    /// The same with further options of `dealwright serve`.
    pub(crate) fn start_with(engine: Engine, options: &[&str]) -> Server {
        let installation = Arc::new(Installation::new(engine));
        Server::stopped(engine, installation, "server", options).begin()
    }

    /// The same begun by a shell that first does this, such as setting limits.
    pub(crate) fn start_after(engine: Engine, shell: &'static str) -> Server {
        let installation = Arc::new(Installation::new(engine));
        let mut server = Server::stopped(engine, installation, "server", &[]);
        server.shell = shell;
        server.begin()
    }

    /// A new installation on SQLite whose data folder is on this disk.
    pub(crate) fn start_on_disk(disk: &Disk) -> Server {
        let installation = Installation::on(Some(disk.path().join("data")), None);
        Server::stopped(Engine::Sqlite, Arc::new(installation), "server", &[]).begin()
    }

    /// A new installation in this cluster.
    pub(crate) fn start_in(cluster: &Cluster) -> Server {
        let database = Database::create_in(cluster.url());
        let installation = Installation::on(None, Some(database));
        Server::stopped(Engine::Postgres, Arc::new(installation), "server", &[]).begin()
    }

    /// The first start, which tells the key.
    fn begin(mut self) -> Server {
        let printed = self.launch();
        self.key = find_key(&printed)
            .unwrap_or_else(|| panic!("the first start printed no key: {printed}"));
        self
    }

    /// Several servers that start at the same time on one new installation. Those
    /// that printed no key have an empty one.
    pub(crate) fn start_together(engine: Engine, count: usize) -> Vec<Server> {
        let installation = Arc::new(Installation::new(engine));
        let starting: Vec<_> = (0..count)
            .map(|number| {
                let installation = installation.clone();
                std::thread::spawn(move || {
                    let name = format!("server-{number}");
                    let mut server = Server::stopped(engine, installation, &name, &[]);
                    let printed = server.launch();
                    server.key = find_key(&printed).unwrap_or_default();
                    server
                })
            })
            .collect();
        starting
            .into_iter()
            .map(|server| server.join().expect("a server that started"))
            .collect()
    }

    /// A new installation that was not started yet, for what a command puts
    /// there. [`Server::start_again`] serves it; its clients have this key.
    pub(crate) fn not_started(engine: Engine, key: &str) -> Server {
        let installation = Arc::new(Installation::new(engine));
        let mut server = Server::stopped(engine, installation, "server", &[]);
        key.clone_into(&mut server.key);
        server
    }

    /// A second server on the same data.
    pub(crate) fn another(&self, options: &[&str]) -> Server {
        self.another_with(None, options)
    }

    /// The same, which logs what `RUST_LOG` with this value asks for.
    pub(crate) fn another_logging(&self, logging: &'static str, options: &[&str]) -> Server {
        self.another_with(Some(logging), options)
    }

    fn another_with(&self, logging: Option<&'static str>, options: &[&str]) -> Server {
        // Its own files: a server may still write to the ones it had.
        let name = format!("server-{}", uuid::Uuid::now_v7().simple());
        let mut server = Server::stopped(self.engine, self.installation.clone(), &name, options);
        server.logging = logging;
        server.launch();
        server.key.clone_from(&self.key);
        server
    }

    fn stopped(
        engine: Engine,
        installation: Arc<Installation>,
        name: &str,
        options: &[&str],
    ) -> Server {
        Server {
            engine,
            key: String::new(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            shell: "",
            logging: None,
            name: name.to_owned(),
            address: Arc::new(RwLock::new(String::new())),
            process: Mutex::new(None),
            installation,
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine
    }

    /// The key with every scope that the first start printed.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// `127.0.0.1:` and the port of the present process.
    pub(crate) fn address(&self) -> String {
        self.address
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.installation.data_dir.clone()
    }

    /// Where its database is, as `dealwright copy` takes it.
    pub(crate) fn database(&self) -> String {
        match self.database_url() {
            Some(url) => url,
            None => self.data_dir().display().to_string(),
        }
    }

    /// The URL of its PostgreSQL database.
    pub(crate) fn database_url(&self) -> Option<String> {
        self.installation.database.as_ref().map(Database::url)
    }

    pub(crate) fn process_id(&self) -> Option<u32> {
        self.process().as_ref().map(Child::id)
    }

    /// A caller with every scope.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address.clone(), &self.key)
    }

    /// A new key with these scopes only.
    #[track_caller]
    pub(crate) fn key_with(&self, scopes: &[&str]) -> String {
        let body = json!({ "name": "some scopes", "scopes": scopes });
        let made = self.client().post("/api-keys", body).expect(201);
        text_of(&made.data(), "key")
    }

    /// A caller with these scopes only.
    #[track_caller]
    pub(crate) fn client_with(&self, scopes: &[&str]) -> Client {
        self.client().with_key(&self.key_with(scopes))
    }

    /// A further workspace in the same installation, with a key to all of it.
    #[track_caller]
    pub(crate) fn workspace(&self, name: &str) -> Workspace {
        let made = self.cli_json(&["workspace", "create", "--name", name]);
        let id = text_of(&made, "id");
        let made = self.cli_json(&["api-key", "create", "--scopes", "*", "--workspace", &id]);
        let key = text_of(&made, "key");
        Workspace {
            id,
            client: self.client().with_key(&key),
            key,
        }
    }

    /// Runs another command of the binary on the same data.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = self.installation.command();
        match command.args(arguments).output() {
            Ok(output) => output,
            Err(error) => panic!("{BINARY} does not run: {error}"),
        }
    }

    /// The same with something to read from the standard input, which is closed
    /// behind it.
    pub(crate) fn cli_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.cli_piped(arguments);
        if let Some(mut pipe) = child.stdin.take() {
            // It may end before it has read all.
            let _ = pipe.write_all(input.as_bytes());
        }
        child
            .wait_with_output()
            .expect("the output of our own child")
    }

    /// The same with a standard input that stays open; once it has printed a line
    /// it gets SIGTERM. Its exit status, and the line.
    pub(crate) fn cli_terminated(&self, arguments: &[&str], input: &str) -> (ExitStatus, String) {
        let mut child = self.cli_piped(arguments);
        let pipe = child.stdin.as_mut().expect("its standard input");
        pipe.write_all(input.as_bytes()).expect("a reader");
        let mut line = String::new();
        let output = child.stdout.take().expect("its standard output");
        BufReader::new(output).read_line(&mut line).expect("a line");
        signal("TERM", child.id());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().expect("the state of our own child") {
                return (status, line);
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                panic!("{arguments:?} did not end within {PATIENCE:?} of SIGTERM");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn cli_piped(&self, arguments: &[&str]) -> Child {
        let mut command = self.installation.command();
        let child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        child.unwrap_or_else(|error| panic!("{BINARY} does not run: {error}"))
    }

    /// Runs a command that must succeed, with `--json`, and reads what it
    /// printed.
    #[track_caller]
    pub(crate) fn cli_json(&self, arguments: &[&str]) -> Value {
        let output = self.cli(&[arguments, &["--json"]].concat());
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        match serde_json::from_str(&stdout) {
            Ok(printed) if output.status.success() => printed,
            _ => panic!(
                "dealwright {arguments:?} ended with {}\n{stdout}\n{stderr}",
                output.status
            ),
        }
    }

    /// SIGTERM, and its exit status once it has drained.
    pub(crate) fn terminate(&self) -> ExitStatus {
        let mut process = self.process();
        let child = process.as_mut().expect("a running server");
        signal("TERM", child.id());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().expect("the state of our own child") {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "the server did not end within {PATIENCE:?} of SIGTERM"
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        *process = None;
        status
    }

    /// SIGKILL: it ends in the middle of whatever it was doing.
    pub(crate) fn kill_9(&self) {
        kill(&mut self.process());
    }

    /// Serves the same data again after [`Server::terminate`] or
    /// [`Server::kill_9`]. Its clients find it.
    pub(crate) fn start_again(&self) {
        assert!(self.process().is_none(), "the server still runs");
        self.launch();
    }

    /// An orderly end and a new start.
    pub(crate) fn restart(&self) {
        let status = self.terminate();
        assert!(status.success(), "the server ended with {status}");
        self.start_again();
    }

    /// Starts a process, waits until it listens and returns what it had
    /// printed by then.
    fn launch(&self) -> String {
        let stdout = self.output_file("stdout");
        let stderr = self.output_file("stderr");
        let printed_before = fs::metadata(&stdout).map_or(0, |file| file.len() as usize);
        let mut command = match self.shell {
            "" => self.installation.command(),
            shell => self.installation.command_after(shell),
        };
        if let Some(logging) = self.logging {
            command.env("RUST_LOG", logging);
        }
        let child = command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(&self.options)
            .stdout(append(&stdout))
            .stderr(append(&stderr))
            .spawn()
            .unwrap_or_else(|error| panic!("{BINARY} does not run: {error}"));
        *self.process() = Some(child);

        let deadline = Instant::now() + PATIENCE;
        loop {
            // Asked before reading, so that an ended process is read fully.
            let ended = match self.process().as_mut() {
                Some(child) => child.try_wait().expect("the state of our own child"),
                None => None,
            };
            let printed = fs::read(&stdout).expect("its output");
            let printed = String::from_utf8_lossy(&printed[printed_before..]).into_owned();
            if let Some(address) = find_address(&printed) {
                *self.address.write().unwrap_or_else(PoisonError::into_inner) = address;
                return printed;
            }
            if let Some(status) = ended {
                panic!("the server ended with {status} before it listened");
            }
            assert!(
                Instant::now() < deadline,
                "the server did not listen within {PATIENCE:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has logged so far, over all its starts.
    pub(crate) fn log(&self) -> String {
        let logged = fs::read(self.output_file("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&logged).into_owned()
    }

    /// What it has printed so far, over all its starts.
    pub(crate) fn output(&self) -> String {
        let read = |stream| fs::read(self.output_file(stream)).unwrap_or_default();
        let stdout = read("stdout");
        let stderr = read("stderr");
        format!(
            "{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        )
    }

    fn output_file(&self, stream: &str) -> PathBuf {
        let folder = self.installation.folder.path();
        folder.join(format!("{}.{stream}", self.name))
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        kill(&mut self.process());
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<_> = output.lines().collect();
            let last = &lines[lines.len().saturating_sub(200)..];
            eprintln!(
                "the server on {:?} printed:\n{}",
                self.engine,
                last.join("\n")
            );
        }
    }
}

fn kill(process: &mut Option<Child>) {
    if let Some(mut child) = process.take() {
        // It fails only for one that has ended already, and that is the aim.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .status();
    assert!(
        sent.is_ok_and(|status| status.success()),
        "SIG{name} could not be sent to {process}"
    );
}

fn append(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("a file in our own folder")
}

#[track_caller]
fn text_of(record: &Value, field: &str) -> String {
    match record[field].as_str() {
        Some(text) => text.to_owned(),
        None => panic!("no {field} in {record}"),
    }
}

/// The address in a complete line that says `listening on http://…`.
fn find_address(printed: &str) -> Option<String> {
    let (_, after) = printed.split_once("listening on http://")?;
    let (address, _) = after.split_once('\n')?;
    let end = address
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'))
        .unwrap_or(address.len());
    Some(address[..end].to_owned())
}

fn find_key(printed: &str) -> Option<String> {
    let (start, _) = printed.match_indices(KEY_PREFIX).find(|(start, _)| {
        printed[*start..]
            .bytes()
            .take_while(|&byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
            .count()
            == KEY_LENGTH
    })?;
    Some(printed[start..start + KEY_LENGTH].to_owned())
}
