//! The steps of one check: connect, send, look at what comes.

use std::io;
use std::rc::Rc;

use super::answer::{Answer, Judgement, judge, looked_for, text};
use super::probe::{Link, Order};
use super::verdict::Status;
use crate::config::{CheckAct, CheckConnect, CheckKind, CheckPlan, CheckStep};
use crate::net::{Buffer, SourceError};

/// The only step of a check that has no plan.
const PLAIN: &[CheckStep] = &[CheckStep {
    act: CheckAct::Connect(CheckConnect {
        port: None,
        address: None,
        send_proxy: false,
        as_server: true,
        linger: false,
    }),
    number: 0,
    comment: None,
}];

/// Why a step could not be made.
pub(super) enum Failure {
    /// Its time was up.
    Late,
    /// The connection did not come about, or broke.
    Broken(io::Error),
}

impl Failure {
    /// Whether a connection that stood was broken.
    fn is_reset(&self) -> bool {
        use io::ErrorKind as Kind;
        matches!(self, Self::Broken(error) if matches!(error.kind(), Kind::ConnectionReset | Kind::BrokenPipe))
    }
}

/// How a check ended, without the time it took.
pub(super) struct End {
    pub status: Status,
    pub code: u16,
    pub info: Vec<u8>,
}

/// Makes the steps one after the other, as long as each does what it should.
pub(super) async fn run(order: &Order) -> End {
    let plan: Option<Rc<CheckPlan>> = order.plan.clone();
    let (steps, kind) = plan.as_ref().map_or((PLAIN, CheckKind::Protocol), |plan| (&plan.steps, plan.kind));
    let mut link = Link::new(order);
    // At most this one buffer, from the first bytes that come on.
    let mut buffer: Option<Buffer> = None;
    let mut code = 0;
    let (mut at, mut first_look, mut must_read) = (0, None, true);
    let mut last = PLAIN.first();
    let mut to_head = false;
    while let Some(step) = steps.get(at) {
        last = Some(step);
        code = 0;
        if !matches!(step.act, CheckAct::Expect(_)) {
            (first_look, must_read) = (None, true);
            buffer = None;
        }
        let done = match &step.act {
            CheckAct::Connect(how) => link.open(how, steps.get(at + 1..).unwrap_or_default()).await,
            CheckAct::Send { bytes, state_at } => {
                to_head = bytes.starts_with(b"HEAD ");
                send(&mut link, order, bytes, *state_at).await
            }
            CheckAct::Expect(expect) => {
                let first = *first_look.get_or_insert(at);
                let read = if must_read { link.read(&mut buffer).await } else { Ok(()) };
                must_read = false;
                if read.is_ok() {
                    let bytes = buffer.as_ref().map_or(&[][..], Buffer::bytes);
                    let is_last = link.has_ended() || buffer.as_ref().is_some_and(is_full);
                    let takes_404 = order.was_up && plan.as_ref().is_some_and(|plan| plan.disable_on_404);
                    let answer = Answer { bytes, is_last, to_head, takes_404 };
                    match judge(expect, step, kind, &answer, &mut code) {
                        Judgement::Fits => {}
                        Judgement::NotYet => {
                            // All that looks at this answer looks again.
                            (at, must_read) = (first, true);
                            continue;
                        }
                        Judgement::Not(status, info) => return End { status, code, info },
                    }
                }
                read
            }
        };
        if let Err(failure) = done {
            // That a connection does not stand may come out with the first bytes: it was not they that failed.
            let by_sending = matches!(step.act, CheckAct::Send { .. }) && link.is_opening();
            let opened = steps.get(at.wrapping_sub(1)).filter(|_| by_sending && !failure.is_reset());
            return failed(&failure, opened.unwrap_or(step), kind);
        }
        at += 1;
    }
    let bytes = buffer.as_ref().map_or(&[][..], Buffer::bytes);
    last.map_or(End { status: Status::L4Ok, code, info: Vec::new() }, |step| {
        let takes_404 = order.was_up && plan.as_ref().is_some_and(|plan| plan.disable_on_404);
        succeeded(step, kind, bytes, code, takes_404)
    })
}

fn is_full(buffer: &Buffer) -> bool {
    buffer.len() >= buffer.capacity()
}

async fn send(
    link: &mut Link<'_>,
    order: &Order,
    bytes: &[u8],
    state_at: Option<u16>,
) -> Result<(), Failure> {
    let told = state_at.and_then(|at| bytes.split_at_checked(at.into())).map(|(before, after)| {
        [before, b"x-haproxy-server-state: ", order.state.as_bytes(), b"\r\n", after].concat()
    });
    link.write(told.as_deref().unwrap_or(bytes), false).await
}

/// All steps are made: how the last of them lets the check end.
fn succeeded(step: &CheckStep, kind: CheckKind, bytes: &[u8], code: u16, takes_404: bool) -> End {
    let plain = |status, written: bool| {
        let info = if kind == CheckKind::Tcp && written { b"(tcp-check)".to_vec() } else { Vec::new() };
        End { status, code, info }
    };
    match &step.act {
        CheckAct::Connect(_) => plain(Status::L4Ok, step.number > 0),
        CheckAct::Send { .. } => plain(Status::L7Ok, true),
        CheckAct::Expect(_) if takes_404 && code == 404 => {
            End { status: Status::L7OkC, code, info: Vec::new() }
        }
        CheckAct::Expect(expect) => match &expect.on_success {
            Some(on_success) => End { status: expect.ok, code, info: text(on_success, bytes) },
            None => plain(expect.ok, true),
        },
    }
}

/// A step was not made: what that says of the server.
fn failed(failure: &Failure, step: &CheckStep, kind: CheckKind) -> End {
    let status = match (&step.act, failure) {
        // A reset is of a connection that stood: one that did not come about was refused.
        (CheckAct::Connect(_), Failure::Broken(error)) if !failure.is_reset() => of_failure(error).0,
        (CheckAct::Connect(_), Failure::Late) => Status::L4Tout,
        (_, Failure::Broken(_)) => Status::Reset,
        (CheckAct::Expect(expect), Failure::Late) => expect.timeout,
        (CheckAct::Send { .. }, Failure::Late) => Status::L7Tout,
    };
    let mut info = Vec::new();
    if let Failure::Broken(error) = failure {
        info.extend_from_slice(of_failure(error).1.as_deref().unwrap_or_default().as_bytes());
    }
    if kind == CheckKind::Tcp {
        name_step(&mut info, step);
    }
    End { status, code: 0, info }
}

/// ` at step 2 of tcp-check (send)`.
fn name_step(info: &mut Vec<u8>, step: &CheckStep) {
    let number = step.number;
    let what = match &step.act {
        CheckAct::Connect(_) if number == 0 => {
            info.extend_from_slice(b" at initial connection step of tcp-check");
            return;
        }
        CheckAct::Connect(CheckConnect { port: Some(port), .. }) => {
            format!("connect port {port}").into_bytes()
        }
        CheckAct::Connect(_) => b"connect".to_vec(),
        CheckAct::Send { .. } => b"send".to_vec(),
        CheckAct::Expect(expect) => [b"expect ", looked_for(expect).as_slice()].concat(),
    };
    info.extend_from_slice(format!(" at step {number} of tcp-check (").as_bytes());
    info.extend_from_slice(&what);
    info.push(b')');
    if let Some(comment) = &step.comment {
        info.extend_from_slice(format!(" comment: '{comment}'").as_bytes());
    }
}

/// What a connection that did not come about says, and why it did not.
pub(super) fn of_failure(error: &io::Error) -> (Status, Option<Box<str>>) {
    let status = if is_our_fault(error) { Status::SockErr } else { Status::L4Con };
    // Without the number that is appended to the system's words.
    let words = error.to_string();
    (status, Some(words.split(" (os error").next().unwrap_or_default().into()))
}

/// Whether a check failed for want of our own descriptors, memory, ports or addresses.
fn is_our_fault(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
        || SourceError::of(error).is_some()
}
