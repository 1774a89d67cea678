//! Copying bytes between two streams until both have ended or are idle.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};

/// Size of the buffer between reading and writing, in each direction.
const BUFFER_BYTES: usize = 16 << 10;

/// Copies bytes in both directions. It ends when both streams have ended, when one fails, or after `idle` without a byte (at most twice
/// that).
pub(crate) async fn tunnel<A, B>(one: A, other: B, idle: Duration)
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let moved = AtomicU64::new(0);
    let ((one_read, one_write), (other_read, other_write)) = (split(one), split(other));
    let both = async {
        tokio::try_join!(carry(one_read, other_write, &moved), carry(other_read, one_write, &moved))
    };
    let mut both = pin!(both);
    let mut before = None;
    loop {
        let now = moved.load(Ordering::Relaxed);
        if before.replace(now) == Some(now) {
            return;
        }
        if let Ok(ended) = tokio::time::timeout(idle, both.as_mut()).await {
            if let Err(error) = ended {
                tracing::debug!(%error, "a tunnel broke");
            }
            return;
        }
    }
}

async fn carry(from: impl AsyncRead, to: impl AsyncWrite, moved: &AtomicU64) -> std::io::Result<()> {
    let (mut from, mut to) = (pin!(from), pin!(to));
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        // The peer would wait for bytes that TLS or a buffer holds back.
        to.flush().await?;
        moved.fetch_add(count as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn bytes_go_both_ways_until_both_ends_have_said_all() {
        let ((mut client, here), (there, mut server)) = (duplex(64), duplex(64));
        let tunnelled = tokio::spawn(tunnel(here, there, Duration::from_secs(60)));
        let question = vec![7; 100_000];
        let asked = tokio::spawn(async move {
            client.write_all(&question).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            answer
        });
        let mut read = Vec::new();
        server.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), 100_000);
        // One direction has ended, the other has not.
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        assert_eq!(asked.await.unwrap(), b"answer");
        tunnelled.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_carries_nothing_ends() {
        let ((mut client, here), (there, mut server)) = (duplex(64), duplex(64));
        let tunnelled = tokio::spawn(tunnel(here, there, Duration::from_secs(60)));
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            client.write_all(b"x").await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), b'x');
        }
        tunnelled.await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }
}
