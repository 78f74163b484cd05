//! The link behaves as documented, tested with plain sockets and an echo server.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::wait;

/// A link with an echo server behind it, and a connection through it.
async fn echo() -> (Link, SocketAddr, TcpStream) {
    let listener = TcpListener::bind((ports::loopback(), 0)).await.unwrap();
    let target = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    let link = Link::new();
    let front = link.front(target).unwrap();
    (link, front, TcpStream::connect(front).await.unwrap())
}

async fn say(stream: &mut TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_healthy_link_carries_bytes_both_ways_and_the_end_of_the_stream() {
    let (link, _, mut stream) = echo().await;
    assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    link.close().await;
}

#[tokio::test]
async fn a_reset_is_a_real_rst() {
    let (link, front, mut stream) = echo().await;
    say(&mut stream, b"hello").await.unwrap();
    link.reset();
    assert_eq!(
        stream.read(&mut [0]).await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    let mut again = TcpStream::connect(front).await.unwrap();
    assert_eq!(say(&mut again, b"again").await.unwrap(), b"again");
    link.close().await;
}

#[tokio::test]
async fn a_cut_refuses_until_it_heals() {
    let (link, front, mut stream) = echo().await;
    say(&mut stream, b"hello").await.unwrap();
    let cut = link.cut();
    assert!(stream.read(&mut [0]).await.is_err());
    let refused = async { say(&mut TcpStream::connect(front).await?, b"hello").await };
    assert!(refused.await.is_err());
    cut.heal();
    let mut again = TcpStream::connect(front).await.unwrap();
    assert_eq!(say(&mut again, b"again").await.unwrap(), b"again");
    link.close().await;
}

#[tokio::test]
async fn a_half_open_link_is_silent_and_delivers_when_it_heals() {
    let (link, _, mut stream) = echo().await;
    say(&mut stream, b"hello").await.unwrap();
    let silence = link.half_open();
    stream.write_all(b"later").await.unwrap();
    let mut answer = [0; 5];
    let early = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut answer)).await;
    assert!(early.is_err(), "{early:?}");
    silence.heal();
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"later");
    link.close().await;
}

#[tokio::test]
async fn a_delay_applies_in_each_direction() {
    let (link, _, mut stream) = echo().await;
    let _delay = link.delay(Duration::from_millis(10));
    let started = wait::now();
    say(&mut stream, b"hello").await.unwrap();
    let elapsed = wait::now() - started;
    assert!(elapsed >= Duration::from_millis(20), "{elapsed:?}");
    link.close().await;
}

#[tokio::test]
async fn a_throttle_limits_the_rate() {
    let (link, _, mut stream) = echo().await;
    let throttle = link.throttle(1_000_000);
    let started = wait::now();
    say(&mut stream, &[1; 10_000]).await.unwrap();
    say(&mut stream, b"waits for the one before").await.unwrap();
    let elapsed = wait::now() - started;
    assert!(elapsed >= Duration::from_millis(10), "{elapsed:?}");
    throttle.heal();
    link.close().await;
}

#[tokio::test]
async fn one_byte_is_corrupted_once() {
    let (link, _, mut stream) = echo().await;
    link.corrupt_after(1);
    assert_eq!(say(&mut stream, b"aaa").await.unwrap(), b"a`a");
    assert_eq!(say(&mut stream, b"aaa").await.unwrap(), b"aaa");
    assert!(!link.is_corruption_pending());
    link.close().await;
}
