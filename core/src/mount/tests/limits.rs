//! The limits of a mount, at their values and one past them.

use super::encounters::written_count;
use super::*;
use crate::limits::{COPY_ON_WRITE_LEN_MAX, FILE_LEN_MAX};

fn length(len: u64) -> Changes {
    Changes {
        len: Some(len),
        ..Changes::default()
    }
}

#[tokio::test]
async fn a_content_is_copied_before_it_is_written_unless_it_is_longer_than_the_limit() {
    for (len, file_count) in [(COPY_ON_WRITE_LEN_MAX, 2), (COPY_ON_WRITE_LEN_MAX + 1, 1)] {
        let alone = alone().await;
        let (inode, handle) = alone.create("a");
        alone
            .fs
            .set_attributes(inode, Some(handle), &length(len))
            .unwrap();
        alone.fs.release(handle).unwrap();
        let handle = alone.open_to_write(inode);
        alone.fs.write(handle, 0, b"new").unwrap();
        assert_eq!(written_count(&alone), file_count, "{len} bytes");
    }
}

#[tokio::test]
async fn a_write_may_end_at_the_greatest_length_of_a_file_and_not_one_byte_later() {
    let alone = alone().await;
    let (_, handle) = alone.create("a");
    assert_eq!(alone.fs.write(handle, FILE_LEN_MAX - 2, b"x").unwrap(), 1);
    let place = (Inode::ROOT, OsStr::new("a"));
    let appending = OpenMode {
        append: true,
        ..OpenMode::WRITE
    };
    let inode = alone.fs.lookup(place.0, place.1).unwrap().inode;
    let appending = alone.fs.open(inode, appending, IoWish::Calls).unwrap().handle;
    assert_eq!(alone.fs.write(appending, 0, b"y").unwrap(), 1);
    let appended = alone.fs.write(appending, 0, b"z");
    assert!(matches!(appended, Err(FsError::TooLarge)), "{appended:?}");
    assert_eq!(alone.fs.write(handle, FILE_LEN_MAX - 1, b"z").unwrap(), 1);
    for offset in [FILE_LEN_MAX, u64::MAX] {
        let written = alone.fs.write(handle, offset, b"z");
        assert!(matches!(written, Err(FsError::TooLarge)), "{offset}: {written:?}");
    }
    // A file without a name is not shared, so nothing reads all its zeros.
    alone.fs.remove(place.0, place.1).unwrap();
    alone.fs.release(appending).unwrap();
    alone.fs.release(handle).unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_is_made_longer_up_to_the_greatest_length_and_not_one_byte_further() {
    let alone = alone().await;
    let (inode, handle) = alone.create("a");
    let last = Span {
        offset: FILE_LEN_MAX - 1,
        len: 1,
    };
    let beyond = Span { len: 2, ..last };
    alone.fs.allocate(handle, last, 0).unwrap();
    let allocated = alone.fs.allocate(handle, beyond, 0);
    assert!(matches!(allocated, Err(FsError::TooLarge)), "{allocated:?}");
    alone.write("source", b"bytes");
    let source = alone.inode("source").unwrap();
    let source = alone
        .fs
        .open(source, OpenMode::READ, IoWish::Calls)
        .unwrap()
        .handle;
    let copy = |len| {
        let span = Span { offset: 0, len };
        alone.fs.copy_range(source, span, handle, FILE_LEN_MAX - 1)
    };
    assert_eq!(copy(1).unwrap(), 1);
    let copied = copy(2);
    assert!(matches!(copied, Err(FsError::TooLarge)), "{copied:?}");
    let set = |len| alone.fs.set_attributes(inode, Some(handle), &length(len));
    assert_eq!(set(FILE_LEN_MAX).unwrap().len, FILE_LEN_MAX);
    let set_longer = set(FILE_LEN_MAX + 1);
    assert!(matches!(set_longer, Err(FsError::TooLarge)), "{set_longer:?}");
    alone.fs.remove(Inode::ROOT, OsStr::new("a")).unwrap();
    alone.fs.release(handle).unwrap();
    alone.fs.release(source).unwrap();
}
