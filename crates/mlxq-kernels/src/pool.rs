//! The threads that kernels compute on.

/// A number of threads that share out jobs, the caller's among them.
#[derive(Debug)]
pub struct Pool {
    threads: usize,
}

impl Pool {
    /// A pool of `threads` threads, at least 1: the caller of [`Self::run`] and `threads - 1` others.
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.max(1) }
    }

    /// Number of threads, the caller's counted.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `job` once with each number below `jobs`, on the pool's threads in any order, and returns
    /// when all are done. Inside a job it calls them one after the other, on that thread.
    ///
    /// # Panics
    /// When a job panics.
    pub fn run(&self, jobs: usize, job: impl Fn(usize) + Sync) {
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || {
            loop {
                let place = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if place >= jobs {
                    return;
                }
                job(place);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.min(jobs) {
                scope.spawn(work);
            }
            work();
        });
    }
}
