//! A connection with a time limit for a peer that does not accept our bytes.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes per second that a peer must accept on average, since responses stay in memory until they are sent.
const LEAST_BYTES_PER_SECOND: f64 = 4096.0;

/// A stream whose writes fail when the peer accepts nothing for a while, or next to nothing for a long time. The time to wait for the peer
/// to send is limited by the code that knows what is expected.
pub(crate) struct TimedStream {
    stream: TcpStream,
    limit: Duration,
    /// How long the peer may still accept nothing.
    credit: Duration,
    /// Set while a write waits.
    timer: Pin<Box<Sleep>>,
    waiting_since: Option<Instant>,
}

impl TimedStream {
    pub(crate) fn new(stream: TcpStream, limit: Duration) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + limit));
        Self { stream, limit, credit: limit, timer, waiting_since: None }
    }

    /// Passes on the result of a write, unless it has waited too long.
    fn timed(
        &mut self,
        context: &mut Context<'_>,
        write: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(taken) = &write {
            let waited = self.waiting_since.take().map_or(Duration::ZERO, |since| since.elapsed());
            let taken = taken.as_ref().map_or(0, |taken| *taken);
            let earned = Duration::from_secs_f64(taken as f64 / LEAST_BYTES_PER_SECOND);
            self.credit = (self.credit.saturating_sub(waited) + earned).min(self.limit);
            return write;
        }
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            self.timer.as_mut().reset(now + self.credit);
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.timed(context, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.timed(context, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _lazy = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut timed = TimedStream::new(stream, Duration::from_millis(50));
        let piece = vec![0; 1 << 20];
        let error = loop {
            match timed.write_all(&piece).await {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_takes_next_to_nothing_is_given_up_too() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let lazy = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let limit = Duration::from_secs(10);
        let mut timed = TimedStream::new(stream, limit);
        let waker = std::task::Waker::noop();
        let mut take = |waited: u64, taken: usize| {
            timed.waiting_since = Some(Instant::now() - Duration::from_secs(waited));
            let _ = timed.timed(&mut Context::from_waker(waker), Poll::Ready(Ok(taken)));
            timed.credit.as_secs_f64().round()
        };
        // Eight seconds' worth raises the credit to at most ten; small amounts add nothing.
        assert_eq!([take(2, 4), take(2, 4), take(2, 1 << 20)], [8.0, 6.0, 10.0]);
        assert_eq!([take(5, 4096), take(5, 2 * 4096), take(5, 0)], [6.0, 3.0, 0.0]);
        drop(lazy);
    }
}
