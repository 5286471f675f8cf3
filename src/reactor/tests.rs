use std::cell::Cell;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::*;

fn pair(reactor: Handle) -> (Source, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Source::new(reactor, OwnedFd::from(ours)), theirs)
}

async fn read(source: &Source, buffer: &mut [u8]) -> io::Result<usize> {
    std::future::poll_fn(|context| {
        source.poll_io(context, Direction::Read, |fd| rustix::io::read(fd, &mut *buffer))
    })
    .await
}

#[test]
fn a_sleep_takes_its_time_and_not_less() {
    let reactor = Reactor::new().unwrap();
    let start = Instant::now();
    reactor
        .run(async {
            let deadline = Deadline::new(reactor);
            deadline.set_after(30);
            deadline.expired().await;
        })
        .unwrap();
    assert!(start.elapsed() >= Duration::from_millis(29));
}

#[test]
fn a_deadline_that_is_moved_away_fires_at_the_later_time() {
    let reactor = Reactor::new().unwrap();
    let fired = reactor
        .run(async {
            let deadline = Deadline::new(reactor);
            deadline.set_after(20);
            let start_ms = reactor.now_ms();
            let _ = deadline
                .guard(async {
                    let other = Deadline::new(reactor);
                    other.set_after(10);
                    other.expired().await;
                    deadline.set_after(50);
                    std::future::pending::<()>().await;
                })
                .await;
            reactor.now_ms() - start_ms
        })
        .unwrap();
    assert!(fired >= 59, "fired after {fired} ms");
}

#[test]
fn a_deadline_that_is_moved_closer_fires_at_the_earlier_time() {
    let reactor = Reactor::new().unwrap();
    let start = Instant::now();
    reactor
        .run(async {
            let deadline = Deadline::new(reactor);
            deadline.set_after(60_000);
            let _ = deadline.guard(smol::future::yield_now()).await;
            let _ = deadline.guard(std::future::ready(())).await;
            deadline.set_after(10);
            assert_eq!(deadline.guard(std::future::pending::<()>()).await, Err(Expired));
        })
        .unwrap();
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_dropped_deadline_leaves_nothing_behind() {
    let reactor = Reactor::new().unwrap();
    reactor
        .run(async {
            let deadline = Deadline::new(reactor);
            deadline.set_after(10_000);
            let _ = smol::future::or(deadline.expired(), smol::future::yield_now()).await;
        })
        .unwrap();
    assert!(reactor.timers.borrow().is_empty());
}

#[test]
fn bytes_that_come_later_wake_the_reader() {
    let reactor = Reactor::new().unwrap();
    let (source, mut peer) = pair(reactor);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        peer.write_all(b"hello").unwrap();
        std::thread::sleep(Duration::from_millis(20));
    });
    let mut buffer = [0; 16];
    let len = reactor.run(read(&source, &mut buffer)).unwrap().unwrap();
    assert_eq!(&buffer[..len], b"hello");
}

#[test]
fn the_end_is_seen_after_a_short_read_that_was_called_drained() {
    let reactor = Reactor::new().unwrap();
    let (source, mut peer) = pair(reactor);
    let ends = reactor
        .run(async {
            let mut buffer = [0; 16];
            // Registered before anything comes, so that bytes and end arrive in one event.
            source.watch().unwrap();
            peer.write_all(b"x").unwrap();
            drop(peer);
            assert_eq!(read(&source, &mut buffer).await.unwrap(), 1);
            source.drained();
            read(&source, &mut buffer).await.unwrap()
        })
        .unwrap();
    assert_eq!(ends, 0);
}

#[test]
fn the_end_is_seen_when_drained_was_said_before_registration() {
    let reactor = Reactor::new().unwrap();
    let (source, mut peer) = pair(reactor);
    let ends = reactor
        .run(async {
            let mut buffer = [0; 16];
            peer.write_all(b"x").unwrap();
            drop(peer);
            assert_eq!(read(&source, &mut buffer).await.unwrap(), 1);
            source.drained();
            read(&source, &mut buffer).await.unwrap()
        })
        .unwrap();
    assert_eq!(ends, 0);
}

#[test]
fn an_idle_source_is_quiet_until_something_comes() {
    let reactor = Reactor::new().unwrap();
    let (source, mut peer) = pair(reactor);
    assert!(!source.is_quiet(), "an unregistered source does not know");
    let pause = |ms| async move {
        let deadline = Deadline::new(reactor);
        deadline.set_after(ms);
        deadline.expired().await;
    };
    reactor
        .run(async {
            source.clear(Direction::Read);
            source.watch().unwrap();
            pause(5).await;
            assert!(source.is_quiet());
            peer.write_all(b"x").unwrap();
            pause(5).await;
            assert!(!source.is_quiet());
        })
        .unwrap();
}

#[test]
fn a_wake_from_another_thread_ends_the_sleep() {
    let reactor = Reactor::new().unwrap();
    let start = Instant::now();
    reactor.run(async_io::Timer::after(Duration::from_millis(20))).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn tasks_run_beside_each_other() {
    let reactor = Reactor::new().unwrap();
    let count = Rc::new(Cell::new(0));
    let tasks: Vec<_> = (0..50)
        .map(|index| {
            let count = count.clone();
            reactor.spawn(async move {
                let deadline = Deadline::new(reactor);
                deadline.set_after(index % 7);
                if index % 7 != 0 {
                    deadline.expired().await;
                }
                count.set(count.get() + 1);
            })
        })
        .collect();
    reactor
        .run(async {
            for task in tasks {
                task.await;
            }
        })
        .unwrap();
    assert_eq!(count.get(), 50);
}

/// A bulk transfer that never had to wait kept the loop from asking the kernel for hundreds of its runs: a small
/// message beside it took up to a second.
#[test]
fn a_task_that_wants_to_run_again_at_once_does_not_hold_up_the_others() {
    let reactor = Reactor::new().unwrap();
    let (source, mut peer) = pair(reactor);
    let heard = Rc::new(Cell::new(false));
    let listener = reactor.spawn({
        let heard = heard.clone();
        async move {
            let len = read(&source, &mut [0; 8]).await.unwrap();
            heard.set(true);
            len
        }
    });
    let busy = reactor.spawn(async move {
        // The listener has found nothing, and sleeps.
        smol::future::yield_now().await;
        peer.write_all(b"x").unwrap();
        let mut runs = 0;
        while !heard.get() {
            runs += 1;
            smol::future::yield_now().await;
        }
        runs
    });
    let (len, runs) = reactor.run(async { (listener.await, busy.await) }).unwrap();
    assert_eq!(len, 1);
    assert!(runs <= 3, "{runs} runs before the listener's");
}

#[test]
fn the_first_turn_knows_what_time_it_is() {
    let reactor = Reactor::new().unwrap();
    std::thread::sleep(Duration::from_millis(30));
    assert!(reactor.run(async { reactor.now_ms() }).unwrap() >= 30);
}
