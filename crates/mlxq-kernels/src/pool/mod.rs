//! The threads that kernels compute on: a pool for work of some microseconds.
//!
//! Jobs are handed out one by one by a counter. The caller takes part; the other threads join while
//! there are jobs left and are never waited for unless they did. They look out for work for a moment
//! before they sleep, so that in a sequence of products a hand-over costs no call of the system.

mod task;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle, available_parallelism};

use task::{Shared, Task};

thread_local! {
    /// Whether this thread is in a job of some pool.
    static IN_JOB: Cell<bool> = const { Cell::new(false) };
}

/// A number of threads that share out jobs, the caller's among them.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    /// A pool of `threads` threads, at least 1: the caller of [`Self::run`] and `threads - 1` others,
    /// which live as long as the pool. Where the system refuses a thread there are fewer.
    pub fn new(threads: usize) -> Self {
        let crowded = available_parallelism().is_ok_and(|cores| threads > cores.get());
        let shared = Arc::new(Shared::new(crowded));
        let start = |_| {
            let shared = Arc::clone(&shared);
            Builder::new().name("mlxq-pool".to_owned()).spawn(move || shared.serve()).ok()
        };
        let workers = (1..threads).map_while(start).collect();
        Self { shared, workers }
    }

    /// Number of threads, the caller's counted.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `job` once with each number below `jobs`, on the pool's threads in any order, and returns
    /// when all are done. Inside a job, and while another thread's run has the pool, it calls them one
    /// after the other on the thread that asks; a single job is called as if there were no pool.
    ///
    /// # Panics
    /// With what a job panicked with, when no other job is running any more; jobs that had not begun
    /// by then are left out.
    pub fn run(&self, jobs: usize, job: impl Fn(usize) + Sync) {
        let alone = self.workers.is_empty() || jobs < 2 || IN_JOB.get();
        let Some(turn) = (!alone).then(|| self.shared.turn()).flatten() else {
            return (0..jobs).for_each(job);
        };
        let task = Task::new(jobs, &job);
        turn.share(&task, self.workers.len());
        drop(turn);
        if let Some(payload) = task.into_panic() {
            resume_unwind(payload);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop();
        for worker in self.workers.drain(..) {
            // It does not panic, and if it had there is nobody to tell.
            let _ = worker.join();
        }
    }
}
