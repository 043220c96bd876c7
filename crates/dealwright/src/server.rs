//! Connections: how many there are, how long their clients may take, and how
//! they end. What is said on them is the API's.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use api::Service;
use axum::body::{Body, Bytes};
use axum::http::Request;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep};

/// The slowest that a body may come, in bytes a second, once a client has used
/// up the time that it is given anyway.
const SLOWEST: f64 = 16.0 * 1024.0;

/// The pause after a connection could not be taken, as when the process has no
/// file handles left.
const PAUSE: Duration = Duration::from_secs(1);

/// What clients may take up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many connections are open at once. Further ones wait in the system's
    /// queue of the listener until one has ended.
    pub(crate) connections: usize,
    /// How long a client may take to send the header of a request, or send none
    /// at all; how long a body may take beyond what [`SLOWEST`] allows; and how
    /// long an answer may lie unread.
    pub(crate) client_timeout: Duration,
}

/// Serves until `drain` has come; then takes no further connection, and comes
/// back when every request that had begun is answered.
pub(crate) async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    limits: Limits,
    drain: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (draining, _) = watch::channel(false);
    let mut drain = pin!(drain);
    loop {
        let next = async {
            // It is never closed, so there is never none.
            let place = places.clone().acquire_owned().await.ok();
            (place, accept(&listener).await)
        };
        let (place, (stream, peer)) = tokio::select! {
            () = &mut drain => break,
            next = next => next,
        };
        let (service, draining) = (service.clone(), draining.subscribe());
        tokio::spawn(async move {
            carry(stream, peer, &service, limits.client_timeout, draining).await;
            drop(place);
        });
    }
    drop(listener);
    draining.send_replace(true);
    // Each connection holds what tells it of the drain until it has ended.
    draining.closed().await;
}

/// The next connection, however often taking one fails before.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Gone before it was taken: that client's matter.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Answers what comes on one connection, until it ends or is told to.
async fn carry(
    stream: TcpStream,
    peer: SocketAddr,
    service: &Arc<Service>,
    client_timeout: Duration,
    mut draining: watch::Receiver<bool>,
) {
    if let Err(error) = prepare(&stream, client_timeout) {
        tracing::debug!(%error, "a connection is gone already");
    }
    let client = service.connect(peer.ip());
    let answer = service_fn(|request: Request<Incoming>| async {
        let request = request.map(|body| Body::new(Punctual::new(body, client_timeout)));
        Ok::<_, Infallible>(client.answer(request).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // It runs between two requests as well.
        .header_read_timeout(client_timeout)
        // What has come whole is done, also for a client that says no more.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = draining.wait_for(|draining| *draining) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

fn prepare(stream: &TcpStream, client_timeout: Duration) -> std::io::Result<()> {
    // What answers in one piece must not wait for more to come.
    stream.set_nodelay(true)?;
    // An answer that nobody takes would hold its connection, and a drain, for
    // ever. Elsewhere the system's own patience has to do.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(client_timeout))?;
    #[cfg(not(target_os = "linux"))]
    let _ = client_timeout;
    Ok(())
}

/// A request's body that breaks off when it comes too slowly.
struct Punctual {
    body: Incoming,
    allowed: Duration,
    /// When the rest must be there: set when it is first waited for, and later
    /// by what every byte that came has earned.
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("it came too slowly")]
    TooSlow,
    #[error(transparent)]
    Connection(#[from] hyper::Error),
}

impl Punctual {
    fn new(body: Incoming, allowed: Duration) -> Self {
        Self {
            body,
            allowed,
            due: None,
            timer: None,
        }
    }
}

impl HttpBody for Punctual {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            if let (Some(due), Some(Ok(frame))) = (&mut this.due, &frame) {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                *due += Duration::from_secs_f64(bytes as f64 / SLOWEST);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Broken::from)));
        }
        let due = *this
            .due
            .get_or_insert_with(|| Instant::now() + this.allowed);
        let timer = this
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(Broken::TooSlow)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
