//! A line to a database that can be cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where in the life of a transaction a line is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the database has heard of the commit: it has not happened.
    BeforeCommit,
    /// When the database has been told to commit and has not answered: it
    /// happens, and nobody learns of it.
    AfterCommit,
}

/// Forwards connections to a database until it is told to cut them. It ends
/// with the process.
pub(crate) struct Proxy {
    address: String,
    lines: Arc<Lines>,
}

#[derive(Default)]
struct Lines {
    /// Both ends of every connection.
    open: Mutex<Vec<[TcpStream; 2]>>,
    /// Where the next transaction that writes loses its line.
    trap: Mutex<Option<Cut>>,
}

impl Proxy {
    /// A proxy to the server that listens there.
    pub(crate) fn to(upstream: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its port").to_string();
        let lines = Arc::new(Lines::default());
        let (theirs, upstream) = (lines.clone(), upstream.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A database that is gone is one that closes the connection.
                if let Ok(server) = TcpStream::connect(&upstream) {
                    theirs.clone().join(client, server);
                }
            }
        });
        Proxy { address, lines }
    }

    /// `127.0.0.1:` and its port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Cuts every connection that there is, at once and both ways.
    pub(crate) fn cut(&self) {
        for [client, server] in self.lines.open().drain(..) {
            // One that has ended is cut already.
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// Cuts one connection, the next that comes to commit what it has written.
    pub(crate) fn cut_next(&self, place: Cut) {
        *self
            .lines
            .trap
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// Whether what [`Proxy::cut_next`] asked for has come about.
    pub(crate) fn has_cut(&self) -> bool {
        self.lines.trap().is_none()
    }
}

impl Lines {
    fn open(&self) -> MutexGuard<'_, Vec<[TcpStream; 2]>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries what either says to the other.
    fn join(self: Arc<Self>, client: TcpStream, server: TcpStream) {
        let twin = |stream: &TcpStream| stream.try_clone().expect("a further handle");
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("an open socket");
        }
        self.open().push([twin(&client), twin(&server)]);
        let back = (twin(&server), twin(&client));
        std::thread::spawn(move || carry(back.0, back.1, |_| None));
        let mut writes = false;
        std::thread::spawn(move || {
            carry(client, server, |said| {
                writes |= says(said, b"read write");
                // One that only reads ends so as well.
                let commits = says(said, b"commit\0") && std::mem::take(&mut writes);
                commits.then(|| self.trap().take()).flatten()
            });
        });
    }

    fn trap(&self) -> MutexGuard<'_, Option<Cut>> {
        self.trap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn says(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

/// Passes on what comes, until it ends or `cut` says where to cut.
fn carry(mut from: TcpStream, mut to: TcpStream, mut cut: impl FnMut(&[u8]) -> Option<Cut>) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let cut = cut(&bytes[..count]);
        if cut == Some(Cut::BeforeCommit) || to.write_all(&bytes[..count]).is_err() || cut.is_some()
        {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
