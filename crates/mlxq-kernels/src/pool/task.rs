//! How the threads of a pool meet: what is to do, who takes part, and who sleeps.
//!
//! One word, [`Shared::state`], says whether the task is open to others, how many have a [`Seat`] at it,
//! and whether its owner sleeps until the last seat is empty. The task itself lies on its owner's stack.

use std::any::Any;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use super::IN_JOB;

/// In the state: the task takes threads in.
const OPEN: usize = 1 << (usize::BITS - 1);
/// In the state: the owner of the task sleeps until the last seat is empty.
const OWNER_SLEEPS: usize = 1 << (usize::BITS - 2);
/// In the state: the pool ends.
const STOP: usize = 1 << (usize::BITS - 3);
/// In the state: number of seats taken.
const SEATS: usize = STOP - 1;

/// How long a thread looks out without letting others have its core. Most gaps between the products of a
/// model are shorter.
const SPINS: Duration = Duration::from_micros(10);
/// How long it looks out in all before it sleeps, letting others have its core in between. The next short
/// text often comes within it; a system may wake a thread that slept on its caller's core though another is
/// idle (virtual machines do), and take a tenth of a second to part them.
const LOOKS_OUT: Duration = Duration::from_millis(5);
/// Looks between two looks at the clock.
const LOOKS: usize = 16;

type Payload = Box<dyn Any + Send>;

/// Jobs to share out.
pub(super) struct Task<'a> {
    job: &'a (dyn Fn(usize) + Sync),
    jobs: usize,
    /// The job that is handed out next.
    next: AtomicUsize,
    /// What the first job that panicked left.
    panic: Mutex<Option<Payload>>,
}

impl<'a> Task<'a> {
    /// The jobs below `jobs`.
    pub(super) fn new(jobs: usize, job: &'a (dyn Fn(usize) + Sync)) -> Self {
        Self { job, jobs, next: AtomicUsize::new(0), panic: Mutex::new(None) }
    }

    /// What a job panicked with.
    pub(super) fn into_panic(self) -> Option<Payload> {
        self.panic.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does jobs until none is left to begin. Never panics.
    fn work(&self) {
        IN_JOB.set(true);
        let done = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let place = self.next.fetch_add(1, Ordering::Relaxed);
                if place >= self.jobs {
                    return;
                }
                (self.job)(place);
            }
        }));
        IN_JOB.set(false);
        if let Err(payload) = done {
            self.next.store(self.jobs, Ordering::Relaxed);
            lock(&self.panic).get_or_insert(payload);
        }
    }
}

/// What the threads of a pool have in common.
#[derive(Debug)]
pub(super) struct Shared {
    /// See the constants.
    state: AtomicUsize,
    /// The task that is open; meaningful to those with a seat at it.
    task: AtomicPtr<Task<'static>>,
    /// Held by the thread whose run has the pool.
    turn: Mutex<()>,
    /// Threads that sleep and that nobody has called; changed with `calls` locked.
    sleepers: AtomicUsize,
    /// Sleepers that are called and not yet awake.
    calls: Mutex<usize>,
    called: Condvar,
    /// The last seat is empty; goes with `calls`.
    deserted: Condvar,
    /// Whether there are more threads than cores: then looking out takes time from those that work.
    crowded: bool,
}

impl Shared {
    /// Nothing to do yet.
    pub(super) fn new(crowded: bool) -> Self {
        Self {
            state: AtomicUsize::new(0),
            task: AtomicPtr::default(),
            turn: Mutex::default(),
            sleepers: AtomicUsize::new(0),
            calls: Mutex::default(),
            called: Condvar::new(),
            deserted: Condvar::new(),
            crowded,
        }
    }

    /// The right to share a task; `None` while another thread has it.
    pub(super) fn turn(&self) -> Option<Turn<'_>> {
        let held = match self.turn.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Turn { shared: self, _held: held })
    }

    /// A worker's life: takes part in task after task until the pool ends.
    pub(super) fn serve(&self) {
        while self.state.load(Ordering::Relaxed) & STOP == 0 {
            match self.look_out(|| self.sit_down()) {
                Some(seat) => seat.task().work(),
                None => self.sleep(),
            }
        }
    }

    /// Ends the workers.
    pub(super) fn stop(&self) {
        self.state.fetch_or(STOP, Ordering::SeqCst);
        // Whoever has seen no stop and holds the lock is asleep when it is free.
        drop(lock(&self.calls));
        self.called.notify_all();
    }

    /// A seat at the open task, if one is open.
    fn sit_down(&self) -> Option<Seat<'_>> {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & OPEN != 0 {
            let taken = self.state.compare_exchange_weak(
                state,
                state + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match taken {
                Ok(_) => return Some(Seat { shared: self }),
                Err(now) => state = now,
            }
        }
        None
    }

    /// What `look` finds within a short while.
    fn look_out<T>(&self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let start = Instant::now();
        loop {
            let waited = start.elapsed();
            if self.crowded || waited >= SPINS {
                if let Some(found) = look() {
                    return Some(found);
                }
                if waited >= LOOKS_OUT {
                    return None;
                }
                yield_now();
                continue;
            }
            for _ in 0..LOOKS {
                if let Some(found) = look() {
                    return Some(found);
                }
                spin_loop();
            }
        }
    }

    /// Sleeps until called.
    fn sleep(&self) {
        let mut calls = lock(&self.calls);
        // Either this thread sees the task that is opened now, or its owner sees this sleeper: both
        // write first and read then, in one order of all.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        if self.state.load(Ordering::SeqCst) & (OPEN | STOP) != 0 {
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        while *calls == 0 && self.state.load(Ordering::SeqCst) & STOP == 0 {
            calls = self.called.wait(calls).unwrap_or_else(PoisonError::into_inner);
        }
        *calls = calls.saturating_sub(1);
    }

    /// Wakes as many sleepers as are missing for `helpers` of `workers` threads to look out.
    fn call(&self, helpers: usize, workers: usize) {
        let missing = |sleepers: usize| helpers.saturating_sub(workers - sleepers);
        if missing(self.sleepers.load(Ordering::SeqCst)) == 0 {
            return;
        }
        let mut calls = lock(&self.calls);
        let sleepers = self.sleepers.load(Ordering::SeqCst);
        let missing = missing(sleepers);
        self.sleepers.fetch_sub(missing, Ordering::SeqCst);
        *calls += missing;
        drop(calls);
        match missing == sleepers {
            true => self.called.notify_all(),
            false => (0..missing).for_each(|_| self.called.notify_one()),
        }
    }

    /// Takes no more threads in.
    fn close(&self) {
        if self.state.load(Ordering::Relaxed) & OPEN != 0 {
            self.state.fetch_and(!OPEN, Ordering::Relaxed);
        }
    }

    /// Waits until the last seat is empty.
    fn wait(&self) {
        let seats = || self.state.load(Ordering::Acquire) & SEATS;
        if self.look_out(|| (seats() == 0).then_some(())).is_some() {
            return;
        }
        self.state.fetch_or(OWNER_SLEEPS, Ordering::Relaxed);
        let mut calls = lock(&self.calls);
        while seats() != 0 {
            calls = self.deserted.wait(calls).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The right to share a task with the pool's threads.
pub(super) struct Turn<'a> {
    shared: &'a Shared,
    _held: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// Does the jobs of `task` with up to `workers` other threads and returns when all are done.
    pub(super) fn share(&self, task: &Task, workers: usize) {
        let shared = self.shared;
        let pointer = std::ptr::from_ref(task).cast_mut().cast::<Task<'static>>();
        shared.task.store(pointer, Ordering::Relaxed);
        // No seat is taken and none can be: the state is free to be written, and who sits down at what
        // it opens sees the pointer.
        shared.state.store(OPEN, Ordering::SeqCst);
        let _clears = Clears { shared };
        shared.call(workers.min(task.jobs - 1), workers);
        task.work();
    }
}

/// Ends the sharing of a task when it is dropped, also by a panic: then nobody has a seat at it.
struct Clears<'a> {
    shared: &'a Shared,
}

impl Drop for Clears<'_> {
    fn drop(&mut self) {
        self.shared.close();
        self.shared.wait();
    }
}

/// A part in the task, which its owner waits for.
struct Seat<'a> {
    shared: &'a Shared,
}

impl Seat<'_> {
    /// The task.
    fn task(&self) -> &Task<'_> {
        let task = self.shared.task.load(Ordering::Relaxed);
        // SAFETY: a seat is taken by adding to a state that is OPEN, which `Turn::share` stores after the
        // pointer; taking it acquires that store (other seats' changes between are read-modify-writes),
        // so this is the pointer to the task opened last. `Turn::share` borrows the task and does not
        // return or unwind before `Clears` has closed the state and seen it, with Acquire, without seats;
        // this seat gives its own back, with Release, only when it is dropped, and the reference does not
        // outlive the seat. The task's real lifetime is longer than that borrow, and it is `Sync`:
        // its job is, its other parts are atomic, locked or never written.
        unsafe { &*task }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // No job is left: nobody, this thread included, should sit down again.
        self.shared.close();
        let before = self.shared.state.fetch_sub(1, Ordering::Release);
        if before & OWNER_SLEEPS != 0 && before & SEATS == 1 {
            // The owner has seen a seat taken with the lock held, so it is asleep when it is free.
            drop(lock(&self.shared.calls));
            self.shared.deserted.notify_all();
        }
    }
}

/// Locks; what a panic left behind is as good as any, since nothing here panics half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
