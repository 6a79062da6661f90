//! What pools promise: each job once, panics, nesting, threads that meet, sleep and end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::Pool;

/// Miri computes a thousandth as fast.
const RUNS: usize = if cfg!(miri) { 100 } else { 100_000 };

/// How often each job was called.
fn calls(pool: &Pool, jobs: usize) -> Vec<usize> {
    let calls: Vec<AtomicUsize> = (0..jobs).map(|_| AtomicUsize::new(0)).collect();
    pool.run(jobs, |job| {
        calls[job].fetch_add(1, Ordering::Relaxed);
    });
    calls.into_iter().map(AtomicUsize::into_inner).collect()
}

/// The threads that jobs ran on; each job takes long enough for others to join.
fn threads_used(pool: &Pool, jobs: usize) -> Vec<ThreadId> {
    let used = Mutex::new(Vec::new());
    pool.run(jobs, |_| {
        thread::sleep(Duration::from_micros(300));
        used.lock().expect("no panic").push(thread::current().id());
    });
    let mut used = used.into_inner().expect("no panic");
    used.sort_by_key(|id| format!("{id:?}"));
    used.dedup();
    used
}

#[test]
fn each_job_is_called_once() {
    for threads in [0, 1, 2, 3, 8] {
        let pool = Pool::new(threads);
        assert_eq!(pool.threads(), threads.max(1));
        for jobs in [0, 1, 2, 3, 7, 100] {
            assert_eq!(calls(&pool, jobs), vec![1; jobs], "{threads} threads");
        }
    }
}

#[test]
fn many_tiny_runs() {
    let pool = Pool::new(4);
    let sum = AtomicUsize::new(0);
    let mut expected = 0;
    for run in 0..RUNS {
        let jobs = 2 + run % 7;
        pool.run(jobs, |job| {
            sum.fetch_add(job + 1, Ordering::Relaxed);
        });
        // All are done when the run returns.
        expected += jobs * (jobs + 1) / 2;
        assert_eq!(sum.load(Ordering::Relaxed), expected, "run {run}");
    }
}

/// Workers sleep between these runs, and some of them are called while they fall asleep.
#[test]
fn runs_after_pauses() {
    let pool = Pool::new(3);
    for pause in (0..if cfg!(miri) { 10 } else { 300 }).map(|round| round % 150) {
        thread::sleep(Duration::from_micros(pause));
        assert_eq!(calls(&pool, 5), [1; 5]);
    }
}

#[test]
fn jobs_run_on_no_more_threads_than_asked_for() {
    let pool = Pool::new(3);
    // All of them are there: three jobs that wait for each other.
    let met = AtomicUsize::new(0);
    pool.run(3, |_| {
        met.fetch_add(1, Ordering::SeqCst);
        while met.load(Ordering::SeqCst) < 3 {
            thread::yield_now();
        }
    });
    let many = threads_used(&pool, 20);
    assert!(many.len() <= 3, "{many:?}");
    let one = Pool::new(1);
    assert_eq!(threads_used(&one, 5), [thread::current().id()]);
    assert_eq!(threads_used(&pool, 1), [thread::current().id()]);
}

#[test]
fn what_jobs_write_is_seen_after_the_run() {
    let pool = Pool::new(4);
    let mut numbers = vec![0usize; 64];
    for round in 0..RUNS / 50 {
        let parts: Vec<Mutex<&mut [usize]>> = numbers.chunks_mut(16).map(Mutex::new).collect();
        pool.run(parts.len(), |job| {
            parts[job].lock().expect("no panic").iter_mut().for_each(|number| *number += job + 1);
        });
        drop(parts);
        for (place, number) in numbers.iter().enumerate() {
            assert_eq!(*number, (round + 1) * (place / 16 + 1));
        }
    }
}

#[test]
fn a_run_within_a_job_stays_on_its_thread() {
    let (outer, inner) = (Pool::new(3), Pool::new(2));
    let total = AtomicUsize::new(0);
    for pool in [&outer, &inner] {
        outer.run(6, |_| {
            let thread = thread::current().id();
            let order = Mutex::new(Vec::new());
            pool.run(4, |job| {
                assert_eq!(thread::current().id(), thread);
                order.lock().expect("no panic").push(job);
            });
            assert_eq!(order.into_inner().expect("no panic"), [0, 1, 2, 3]);
            total.fetch_add(1, Ordering::Relaxed);
        });
    }
    assert_eq!(total.into_inner(), 12);
}

/// Also a job on a worker, not only one on the caller's thread.
#[test]
fn a_panic_reaches_the_caller_when_all_have_stopped() {
    let pool = Pool::new(3);
    let caller = thread::current().id();
    for on_caller in [true, false] {
        let running = AtomicUsize::new(0);
        let thrown = AtomicBool::new(false);
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.run(3, |_| {
                running.fetch_add(1, Ordering::SeqCst);
                // Each thread has one of the jobs.
                while running.load(Ordering::SeqCst) < 3 && !thrown.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                if (thread::current().id() == caller) == on_caller
                    && !thrown.swap(true, Ordering::SeqCst)
                {
                    std::panic::panic_any(42u64);
                }
                thread::sleep(Duration::from_millis(2));
                running.fetch_add(10, Ordering::SeqCst);
            });
        }));
        let payload = result.expect_err("a panic");
        assert_eq!(payload.downcast_ref::<u64>(), Some(&42));
        // The two others ended after it was thrown and before it arrived.
        assert_eq!(running.into_inner(), 23);
        assert_eq!(calls(&pool, 50), [1; 50], "the pool stays usable");
    }
    // Run inline.
    let single = || Pool::new(1).run(2, |_| std::panic::panic_any(7u64));
    assert!(catch_unwind(single).is_err());
}

#[test]
fn all_jobs_may_panic() {
    let pool = Pool::new(4);
    for _ in 0..20 {
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.run(8, |job| std::panic::panic_any(job));
        }));
        let job = *result.expect_err("a panic").downcast::<usize>().expect("a number");
        assert!(job < 8);
    }
    assert_eq!(calls(&pool, 9), [1; 9]);
    assert_eq!(threads_used(&pool, 1), [thread::current().id()]);
}

#[test]
fn several_threads_may_run_at_once() {
    let pool = Pool::new(2);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for run in 0..RUNS / 50 {
                    let jobs = run % 5;
                    assert_eq!(calls(&pool, jobs), vec![1; jobs]);
                }
            });
        }
    });
}

/// The one who comes late must not wait for a run that waits for it.
#[test]
fn a_late_comer_does_not_wait() {
    let pool = Pool::new(2);
    let (begun, done) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            pool.run(2, |_| {
                begun.store(true, Ordering::SeqCst);
                while !done.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
            });
        });
        while !begun.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        assert_eq!(threads_used(&pool, 3), [thread::current().id()]);
        done.store(true, Ordering::SeqCst);
    });
}

/// Fails by not ending, or by Miri's report of threads that are left.
#[test]
fn pools_end_whatever_their_threads_do() {
    for round in 0..if cfg!(miri) { 5 } else { 200 } {
        let pool = Pool::new(1 + round % 4);
        if round % 3 > 0 {
            assert_eq!(calls(&pool, 4), [1; 4]);
        }
        thread::sleep(Duration::from_micros(if round % 2 == 0 { 0 } else { 90 }));
        drop(pool);
    }
}
