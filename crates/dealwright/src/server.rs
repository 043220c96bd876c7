//! Connections: how many there are, how long their clients may take, and how
//! they end. What is said on them is the API's.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use api::Service;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as Answer, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::pace::{Punctual, Taken};

/// How much of an answer the system holds at most that it can't send yet, in bytes.
/// What is beyond waits here, where it is seen how slowly a client takes it.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

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
    /// at all; how long the body of a request, or taking an answer, may take beyond
    /// what the slowest pace allows.
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
    draining: watch::Receiver<bool>,
) {
    if let Err(error) = prepare(&stream, client_timeout) {
        tracing::debug!(%error, "a connection is gone already");
    }
    let client = service.connect(peer.ip());
    let answer = service_fn(|request: Request<Incoming>| async {
        let request = request.map(|body| Body::new(Punctual::new(body, client_timeout)));
        Ok::<_, Infallible>(client.answer(request).await)
    });
    converse(stream, client_timeout, answer, draining).await;
}

/// Lets `answer` answer what comes on a stream, until it ends or is told to.
async fn converse<S, A>(
    stream: S,
    client_timeout: Duration,
    answer: A,
    mut draining: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Answer<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // It runs between two requests as well.
        .header_read_timeout(client_timeout)
        // What has come whole is done, also for a client that says no more.
        .half_close(true)
        .serve_connection(TokioIo::new(Taken::new(stream, client_timeout)), answer);
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
    // Elsewhere the system's own patience has to do for a client that has vanished
    // with the end of an answer on its way.
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        socket.set_tcp_user_timeout(Some(client_timeout))?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = client_timeout;
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::Bytes;
    use hyper::body::{Body as HttpBody, Frame};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A body without an end.
    struct Endless;

    impl HttpBody for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 1024])))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_at_a_trickle_does_not_hold_up_the_end() {
        let (stream, mut client) = tokio::io::duplex(8 * 1024);
        let (drain, draining) = watch::channel(false);
        let answer = service_fn(|_| async { Ok(Response::new(Body::new(Endless))) });
        let trickle = async {
            let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
            client.write_all(request).await.unwrap();
            for _ in 0..1000 {
                client.read_exact(&mut [0; 8 * 1024]).await.unwrap();
                drain.send_replace(true);
                // Never quiet for as long as the timeout.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = converse(stream, Duration::from_secs(30), answer, draining) => {}
            () = trickle => panic!("it is sent still"),
        }
    }
}
