//! Requests under way, by the token that their owner knows them by.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

type Begun = (u64, Pin<Box<dyn Future<Output = ()> + Send>>);

/// Tasks that can be cancelled.
///
/// They are handed over through a queue, because spawning from outside wakes the runtime by a call of the system each
/// time, and a queue only when it is waiting.
#[derive(Debug)]
pub(crate) struct Tokens {
    tasks: Arc<Tasks>,
    begun: UnboundedSender<Begun>,
}

/// The tasks that have not ended; without a handle those that have not begun.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<HashMap<u64, Option<AbortHandle>>>);

impl Tokens {
    pub(crate) fn new(runtime: &Handle) -> Self {
        let (begun, queue) = unbounded_channel();
        let tasks = Arc::new(Tasks::default());
        runtime.spawn(begin(queue, tasks.clone()));
        Self { tasks, begun }
    }

    /// Where a task says that it has ended.
    pub(crate) fn tasks(&self) -> Arc<Tasks> {
        self.tasks.clone()
    }

    /// Run a task, which calls [`Tasks::forget`] at its end.
    pub(crate) fn spawn(&self, token: u64, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().insert(token, None);
        if self.begun.send((token, Box::pin(task))).is_err() {
            self.tasks.forget(token); // the runtime is gone
        }
    }

    /// End a task.
    pub(crate) fn cancel(&self, token: u64) {
        if let Some(Some(task)) = self.tasks.lock().remove(&token) {
            task.abort();
        }
    }

    /// End all tasks.
    pub(crate) fn cancel_all(&self) {
        for (_, task) in self.tasks.lock().drain() {
            task.inspect(AbortHandle::abort);
        }
    }

    /// Tasks under way.
    pub(crate) fn len(&self) -> usize {
        self.tasks.lock().len()
    }
}

impl Tasks {
    /// The task has ended.
    pub(crate) fn forget(&self, token: u64) {
        self.lock().remove(&token);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Option<AbortHandle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begin tasks until nobody can hand over more.
async fn begin(mut queue: UnboundedReceiver<Begun>, tasks: Arc<Tasks>) {
    while let Some((token, task)) = queue.recv().await {
        // Not there: cancelled in the meantime. The lock is held until the handle is known.
        if let Some(handle) = tasks.lock().get_mut(&token) {
            *handle = Some(tokio::spawn(task).abort_handle());
        }
    }
}
