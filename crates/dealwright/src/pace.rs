//! How slow clients may be: with what they send, and with what they are sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// The slowest that a body may come or be taken, in bytes a second, once a client has
/// used up the time that it is given anyway.
const SLOWEST: f64 = 16.0 * 1024.0;

/// The time that so many bytes earn.
fn earned(bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 / SLOWEST)
}

/// A request's body that breaks off when it comes too slowly.
pub(crate) struct Punctual {
    body: Incoming,
    allowed: Duration,
    /// When the rest must be there: set when it is first waited for, and later
    /// by what every byte that came has earned.
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("it came too slowly")]
    TooSlow,
    #[error(transparent)]
    Connection(#[from] hyper::Error),
}

impl Punctual {
    pub(crate) fn new(body: Incoming, allowed: Duration) -> Self {
        Self {
            body,
            allowed,
            due: None,
            timer: None,
        }
    }
}

impl Body for Punctual {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            if let (Some(due), Some(Ok(frame))) = (&mut this.due, &frame) {
                *due += earned(frame.data_ref().map_or(0, Bytes::len));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Broken::from)));
        }
        let due = *this
            .due
            .get_or_insert_with(|| Instant::now() + this.allowed);
        ready!(poll_until(&mut this.timer, due, cx));
        Poll::Ready(Some(Err(Broken::TooSlow)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that breaks off when what is sent on it is taken too slowly. The time
/// that the server takes to have something to send is not counted.
pub(crate) struct Taken<S> {
    stream: S,
    allowed: Duration,
    /// How much longer the client may keep the server waiting; what it takes adds to
    /// it, up to `allowed`.
    left: Duration,
    /// Since when the server waits.
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Taken<S> {
    pub(crate) fn new(stream: S, allowed: Duration) -> Self {
        Self {
            stream,
            allowed,
            left: allowed,
            since: None,
            timer: None,
        }
    }

    /// What became of a write, unless it waits for longer than it may.
    fn watch(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            if let Some(since) = self.since.take() {
                self.left = self.left.saturating_sub(since.elapsed());
            }
            let bytes = written.as_ref().map_or(0, |bytes| *bytes);
            self.left = self.allowed.min(self.left + earned(bytes));
            return Poll::Ready(written);
        }
        let due = *self.since.get_or_insert_with(Instant::now) + self.left;
        ready!(poll_until(&mut self.timer, due, cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "it was taken too slowly",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.watch(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Ready when it is `due`.
fn poll_until(timer: &mut Option<Pin<Box<Sleep>>>, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
    if timer.deadline() != due {
        timer.as_mut().reset(due);
    }
    timer.as_mut().poll(cx)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// A client that takes at most so many bytes, each time after a while.
    struct Client {
        bytes: usize,
        pause: Duration,
        next: Option<Pin<Box<Sleep>>>,
    }

    impl AsyncWrite for Client {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let pause = self.pause;
            let next = self
                .next
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            ready!(next.as_mut().poll(cx));
            self.next = None;
            Poll::Ready(Ok(bytes.len().min(self.bytes)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// After how many seconds a client that takes so many bytes each time is dropped,
    /// if it is before it has been sent a thousand times as much.
    async fn dropped_after(bytes: usize, pause: u64) -> Option<u64> {
        let pause = Duration::from_secs(pause);
        let next = None;
        let client = Client { bytes, pause, next };
        let mut stream = Taken::new(client, Duration::from_secs(30));
        let started = Instant::now();
        for _ in 0..1000 {
            let write = |cx: &mut Context<'_>| Pin::new(&mut stream).poll_write(cx, &[0; 1 << 20]);
            if let Err(error) = std::future::poll_fn(write).await {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                return Some(started.elapsed().as_secs());
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_dropped_only_when_it_is_slower_than_the_slowest() {
        assert_eq!(dropped_after(16 * 1024, 1).await, None);
        assert_eq!(dropped_after(256 * 1024, 16).await, None);
        assert_eq!(dropped_after(15 * 1024, 1).await, Some(465));
        assert_eq!(dropped_after(8 * 1024, 1).await, Some(59));
        assert_eq!(dropped_after(1, 10).await, Some(30));
        assert_eq!(dropped_after(1 << 20, 31).await, Some(30));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_takes_is_not_counted() {
        let (bytes, pause) = (1024, Duration::from_secs(20));
        let next = None;
        let client = Client { bytes, pause, next };
        let mut stream = Taken::new(client, Duration::from_secs(30));
        let write = |cx: &mut Context<'_>| Pin::new(&mut stream).poll_write(cx, &[0; 1024]);
        std::future::poll_fn(write).await.unwrap();
        tokio::time::sleep(Duration::from_secs(600)).await;
        stream.stream.pause = Duration::from_secs(5);
        let write = |cx: &mut Context<'_>| Pin::new(&mut stream).poll_write(cx, &[0; 1024]);
        std::future::poll_fn(write).await.unwrap();
    }
}
