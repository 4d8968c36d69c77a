//! Requests under way, by the token that their owner knows them by.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Tasks that can be cancelled.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<u64, AbortHandle>>);

impl Tokens {
    /// Run a task, which calls [`Tokens::forget`] at its end.
    pub(crate) fn spawn(&self, runtime: &Handle, token: u64, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.lock(); // held until the task is known, so that its end comes later
        tasks.insert(token, runtime.spawn(task).abort_handle());
    }

    /// The task has ended.
    pub(crate) fn forget(&self, token: u64) {
        self.lock().remove(&token);
    }

    /// End a task.
    pub(crate) fn cancel(&self, token: u64) {
        if let Some(task) = self.lock().remove(&token) {
            task.abort();
        }
    }

    /// End all tasks.
    pub(crate) fn cancel_all(&self) {
        for (_, task) in self.lock().drain() {
            task.abort();
        }
    }

    /// Tasks under way.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
