//! Lines of bounded length over a socket.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Gone;
use crate::exit::{Exit, Failure, OrExit};
use crate::limits::CONTROL_LINE_LEN_MAX;

/// The next line without its end; `None` if there is no further one. A last line that has no end
/// was cut off and does not count.
pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>, Failure> {
    let mut line = Vec::new();
    let mut bounded = from.take(CONTROL_LINE_LEN_MAX);
    let read = bounded.read_until(b'\n', &mut line).await;
    let len = read.or_exit(Exit::NotReached)?;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        Some(_) if u64::try_from(len).is_ok_and(|len| len >= CONTROL_LINE_LEN_MAX) => {
            let text = format!("a line has more than {CONTROL_LINE_LEN_MAX} bytes");
            Err(Failure::new(Exit::Usage, text))
        }
        _ => Ok(None),
    }
}

/// Writes one line.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), mut line: Vec<u8>) -> Result<(), Gone> {
    line.push(b'\n');
    to.write_all(&line).await.map_err(|_| Gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_may_be_as_long_as_the_limit_with_its_end_and_no_longer() {
        let max = usize::try_from(CONTROL_LINE_LEN_MAX).unwrap();
        let mut line = vec![b'x'; max - 1];
        line.push(b'\n');
        let read_line = read(&mut line.as_slice()).await.unwrap().unwrap();
        assert_eq!(read_line.len(), max - 1);
        line.insert(0, b'x');
        let refused = read(&mut line.as_slice()).await.unwrap_err();
        assert!(refused.text.unwrap().contains("more than"));
    }

    #[tokio::test]
    async fn a_line_that_was_cut_off_is_none() {
        assert_eq!(read(&mut b"{".as_slice()).await.unwrap(), None);
        assert_eq!(read(&mut b"".as_slice()).await.unwrap(), None);
    }
}
