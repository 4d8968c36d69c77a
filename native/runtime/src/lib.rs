//! The thread that does the native input and output, and the mailbox through which it talks to an event loop.
//!
//! Everything asynchronous of this library runs on one tokio thread per process. It never waits for Python: what it
//! has for an event loop goes into a [`Mailbox`], whose file descriptor becomes readable once, however many messages
//! wait there.

#![forbid(unsafe_code)]

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::runtime::{Builder, Handle};

/// Large bodies that are compressed, or whose compression is taken off, at the same time; others wait. Each may hold as
/// much memory as the limits allow.
const LARGE_WORK_THREADS: usize = 4;

/// Return the runtime of this process, started on first use. Do not fork afterwards.
///
/// # Errors
/// When the thread cannot be started.
pub fn handle() -> io::Result<Handle> {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _guard = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(LARGE_WORK_THREADS).build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("native-io".into())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// Messages for an event loop, taken many at a time after one wake-up.
#[derive(Debug)]
pub struct Mailbox<T> {
    messages: Mutex<Vec<T>>,
    reader: PipeReader,
    writer: PipeWriter,
}

impl<T> Mailbox<T> {
    /// Make an empty mailbox.
    ///
    /// # Errors
    /// When no file descriptors are left.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { messages: Mutex::new(Vec::new()), reader, writer })
    }

    /// The file descriptor that is readable while messages wait.
    pub fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    /// Add a message, and wake the event loop unless it was told already.
    pub fn put(&self, message: T) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(message);
        if messages.len() == 1 {
            // One byte lies in the pipe exactly while messages wait, so this never blocks; both ends are ours.
            let _ = (&self.writer).write(&[1]);
        }
    }

    /// Take all messages, oldest first.
    pub fn take(&self) -> Vec<T> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if !messages.is_empty() {
            let _ = (&self.reader).read(&mut [0]);
        }
        std::mem::take(&mut *messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_in_order_and_once() {
        let mailbox = Mailbox::new().unwrap();
        mailbox.put(1);
        mailbox.put(2);
        assert_eq!(mailbox.take(), [1, 2]);
        assert_eq!(mailbox.take(), [] as [i32; 0]);
        mailbox.put(3);
        assert_eq!(mailbox.take(), [3]);
    }

    #[test]
    fn the_thread_runs_what_it_is_given() {
        let (sender, receiver) = std::sync::mpsc::channel();
        handle().unwrap().spawn(async move { sender.send(7).unwrap() });
        assert_eq!(receiver.recv().unwrap(), 7);
    }
}
