//! A connection of a client that need not be one.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::Server;

/// A connection on which a test says exactly what it wants.
pub(crate) struct Line(TcpStream);

impl Line {
    pub(crate) fn to(server: &Server) -> Line {
        let stream = TcpStream::connect(server.address()).expect("a connection");
        // A server that never answers fails the test rather than hanging it.
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).expect("a timeout");
        Line(stream)
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.0
            .write_all(text.as_bytes())
            .expect("the server takes it");
    }

    /// Everything until the server closes the connection.
    pub(crate) fn hear_all(&mut self) -> String {
        let mut heard = Vec::new();
        match self.0.read_to_end(&mut heard) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("the server neither answers nor closes the connection")
            }
            // Closed, or reset while something lay unread.
            _ => String::from_utf8_lossy(&heard).into_owned(),
        }
    }

    /// What has come, if anything has come at all.
    pub(crate) fn hear_some(&mut self) -> Option<String> {
        let mut heard = [0; 16 * 1024];
        match self.0.read(&mut heard) {
            Ok(0) | Err(_) => None,
            Ok(bytes) => Some(String::from_utf8_lossy(&heard[..bytes]).into_owned()),
        }
    }

    /// The connection itself.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        &mut self.0
    }
}
