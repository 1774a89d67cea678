//! A connection on which nobody may let us wait forever for taking our bytes.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes per second that a peer must take on average: answers stay in memory until they are taken.
const LEAST_BYTES_PER_SECOND: f64 = 4096.0;

/// A stream whose writes fail when the peer takes nothing for a while, or next to nothing for long.
/// How long we wait for the peer to send is bounded where it is
/// known what is being waited for.
pub(crate) struct TimedStream {
    stream: TcpStream,
    limit: Duration,
    /// How long the peer may take nothing now.
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

    /// Passes on what a write said, unless it waits for too long.
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
        // Eight seconds' worth is put by at most as ten; little things add up to nothing.
        assert_eq!([take(2, 4), take(2, 4), take(2, 1 << 20)], [8.0, 6.0, 10.0]);
        assert_eq!([take(5, 4096), take(5, 2 * 4096), take(5, 0)], [6.0, 3.0, 0.0]);
        drop(lazy);
    }
}
