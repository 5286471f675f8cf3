//! What is known of one server's state. The machine is HAProxy's: an operational state, marks of operators and of the
//! configuration beside it, and a counter for its checks and one for its agent. Pure values.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use super::verdict::{Status, Verdict};
use crate::config::FirstState;

/// What a server does, with the numbers of `show servers state` (`srv_op_state`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// It takes no traffic.
    Stopped = 0,
    /// It takes part of its share (`slowstart`).
    Starting = 1,
    /// It takes its share.
    Running = 2,
    /// It takes those who must go to it, and nobody else.
    Stopping = 3,
}

/// Marks that hold whatever checks say, with the bits of `show servers state` (`srv_admin_state`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Admin(pub u8);

impl Admin {
    /// In maintenance by an operator or an agent.
    pub const MAINT: Self = Self(0x01);
    /// In maintenance because the server that it tracks is.
    pub const TRACKED_MAINT: Self = Self(0x02);
    /// `disabled` on its line: why it is in maintenance.
    pub const CONFIGURED_MAINT: Self = Self(0x04);
    /// It takes those who must go to it, and nobody else.
    pub const DRAIN: Self = Self(0x08);
    /// The same because the server that it tracks does.
    pub const TRACKED_DRAIN: Self = Self(0x10);
    /// Its name has no address.
    pub const NO_ADDRESS: Self = Self(0x20);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The one without the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether they have a mark in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// No traffic and no checks.
    pub const fn is_maint(self) -> bool {
        self.meets(Self(0x23))
    }

    /// Nobody but those who must go to it.
    pub const fn is_drain(self) -> bool {
        self.meets(Self(0x18))
    }
}

/// The counting of successes and failures (configuration §5.2, "rise" and "fall"): from 0 (down) over `rise` (up) to
/// `rise + fall - 1` (up, and proven).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Where it stands.
    pub health: u32,
    /// Successes until it is up again.
    pub rise: u32,
    /// Failures until it is down.
    pub fall: u32,
}

impl Counter {
    /// A server starts on probation, as in HAProxy: its first failed check takes it down.
    pub(crate) fn new(rise: u32, fall: u32) -> Self {
        let rise = rise.max(1);
        Self { health: rise, rise, fall: fall.max(1) }
    }

    /// The same where `init-state` says so.
    pub(crate) fn at(self, first: FirstState) -> Self {
        let health = match first {
            FirstState::Up => self.rise,
            FirstState::FullyUp => self.top(),
            FirstState::Down => self.rise.saturating_sub(1),
            FirstState::FullyDown => 0,
        };
        Self { health, ..self }
    }

    /// Where it stands after checks that were all right for long.
    pub(super) fn top(self) -> u32 {
        self.rise.saturating_add(self.fall).saturating_sub(1)
    }

    pub(super) fn is_up(self) -> bool {
        self.health >= self.rise
    }

    /// Counts a success; false where it says nothing new.
    pub(super) fn pass(&mut self) -> bool {
        if self.health >= self.top() {
            return false;
        }
        self.health += 1;
        if self.is_up() {
            self.health = self.top();
        }
        true
    }

    /// Counts a failure; false where it says nothing new.
    pub(super) fn fail(&mut self) -> bool {
        if self.health == 0 {
            return false;
        }
        self.health -= 1;
        if !self.is_up() {
            self.health = 0;
        }
        true
    }

    /// `3/3`: how far it is from the other state, as HAProxy writes it.
    pub(super) fn steps(self) -> (u32, u32) {
        if self.is_up() { (self.health - self.rise + 1, self.fall) } else { (self.health, self.rise) }
    }
}

/// All of that for one server.
pub(crate) struct State {
    pub(crate) op: Cell<Op>,
    pub(crate) admin: Cell<Admin>,
    pub(super) check: Cell<Counter>,
    pub(super) agent: Cell<Counter>,
    /// What the last check said.
    pub(super) last_check: RefCell<Option<Verdict>>,
    /// How the agent's last answer ended.
    pub(super) last_agent: Cell<Option<Status>>,
    /// Loop clock of the last change.
    pub(super) changed_ms: Cell<u64>,
    /// How long it was down, all earlier times together.
    pub(super) down_ms: Cell<u64>,
    pub(super) failed_checks: Cell<u32>,
    pub(super) failed_observed: Cell<u32>,
    pub(super) downs: Cell<u32>,
    /// Errors in a row that its traffic has met (`observe`).
    pub(super) errors: Cell<u32>,
    pub(super) hurry: Hurry,
}

impl State {
    pub(crate) fn new(check: Counter, admin: Admin, now_ms: u64) -> Self {
        Self {
            op: Cell::new(if admin.is_maint() || !check.is_up() { Op::Stopped } else { Op::Running }),
            admin: Cell::new(admin),
            check: Cell::new(check),
            agent: Cell::new(Counter::new(1, 1)),
            last_check: RefCell::default(),
            last_agent: Cell::default(),
            changed_ms: Cell::new(now_ms),
            down_ms: Cell::default(),
            failed_checks: Cell::default(),
            failed_observed: Cell::default(),
            downs: Cell::default(),
            errors: Cell::default(),
            hurry: Hurry::default(),
        }
    }

    /// Notes another operational state.
    pub(in crate::backend) fn enter(&self, op: Op, now_ms: u64) {
        let was = self.op.replace(op);
        let span_ms = now_ms.saturating_sub(self.changed_ms.get());
        match (was, op) {
            (Op::Stopped, Op::Stopped) => return,
            (Op::Stopped, _) => self.down_ms.set(self.down_ms.get().saturating_add(span_ms)),
            (_, Op::Stopped) => self.downs.set(self.downs.get().saturating_add(1)),
            // The end of a slow start is no change.
            (Op::Starting, Op::Running) => return,
            _ => {}
        }
        self.changed_ms.set(now_ms);
    }

    /// It is as it is since this time of the loop's clock.
    pub(crate) fn begin(&self, now_ms: u64) {
        self.changed_ms.set(now_ms);
    }

    /// An address was found after all, before anybody asked for it.
    pub(crate) fn end_without_address(&self) {
        self.admin.set(self.admin.get().without(Admin::NO_ADDRESS));
        if !self.admin.get().is_maint() {
            self.op.set(Op::Running);
        }
    }

    /// Takes over what was known before a reload; what the configuration says of maintenance wins.
    pub(crate) fn inherit(&self, old: &Self, same_checks: bool) {
        let configured = Admin::CONFIGURED_MAINT.with(Admin::MAINT);
        let forced = old.admin.get().without(Admin::CONFIGURED_MAINT.with(Admin::NO_ADDRESS));
        let forced =
            if old.admin.get().meets(Admin::CONFIGURED_MAINT) { forced.without(configured) } else { forced };
        self.admin.set(self.admin.get().with(forced));
        if self.admin.get().is_maint() {
            self.op.set(Op::Stopped);
        } else if same_checks && !old.admin.get().is_maint() {
            self.op.set(old.op.get());
            let (known, mut counter) = (old.check.get(), self.check.get());
            counter.health = match known.is_up() {
                true if known.health == known.top() => counter.top(),
                true => counter.rise,
                false => known.health.min(counter.rise.saturating_sub(1)),
            };
            self.check.set(counter);
            self.agent.set(old.agent.get());
            self.changed_ms.set(old.changed_ms.get());
        }
        self.last_check.replace(old.last_check.borrow().clone());
        self.last_agent.set(old.last_agent.get());
        self.down_ms.set(old.down_ms.get());
        self.failed_checks.set(old.failed_checks.get());
        self.failed_observed.set(old.failed_observed.get());
        self.downs.set(old.downs.get());
    }
}

/// Makes the next check come earlier.
#[derive(Default)]
pub(super) struct Hurry {
    at_ms: Cell<Option<u64>>,
    waker: RefCell<Option<Waker>>,
}

impl Hurry {
    /// Not later than at this time of the loop's clock.
    pub(super) fn by(&self, at_ms: u64) {
        self.at_ms.set(Some(at_ms));
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// When, if somebody is in a hurry; who asks is woken when somebody is.
    pub(super) fn take(&self, waker: &Waker) -> Option<u64> {
        let at_ms = self.at_ms.take();
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
        at_ms
    }
}

/// What operators are told of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What it does.
    pub op: Op,
    /// What holds whatever checks say.
    pub admin: Admin,
    /// Of its checks.
    pub check: Counter,
    /// Of its agent.
    pub agent: Counter,
    /// `L4OK`, … of the last check; `None` = none was made yet.
    pub check_status: Option<&'static str>,
    /// The code of its answer.
    pub check_code: Option<u16>,
    /// How long it took.
    pub check_ms: u64,
    /// Since the last change of `op`.
    pub unchanged_ms: u64,
    /// How long it has been down, all times together.
    pub down_ms: u64,
    /// Checks that failed.
    pub failed_checks: u32,
    /// Times that its traffic met too many errors in a row.
    pub failed_observed: u32,
    /// Times that it went down.
    pub downs: u32,
}

impl State {
    /// All of it at this time of the loop's clock.
    pub(crate) fn facts(&self, now_ms: u64) -> Facts {
        let last = self.last_check.borrow();
        let last = last.as_ref();
        let unchanged_ms = now_ms.saturating_sub(self.changed_ms.get());
        let down_now_ms = if self.op.get() == Op::Stopped { unchanged_ms } else { 0 };
        Facts {
            op: self.op.get(),
            admin: self.admin.get(),
            check: self.check.get(),
            agent: self.agent.get(),
            check_status: last.map(|last| last.status.name()),
            check_code: last.and_then(|last| last.code),
            check_ms: last.map_or(0, |last| last.took_ms),
            unchanged_ms,
            down_ms: self.down_ms.get().saturating_add(down_now_ms),
            failed_checks: self.failed_checks.get(),
            failed_observed: self.failed_observed.get(),
            downs: self.downs.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(results: &str) -> Counter {
        let mut counter = Counter::new(2, 3);
        for result in results.chars() {
            if result == '+' {
                counter.pass()
            } else {
                counter.fail()
            };
        }
        counter
    }

    #[test]
    fn the_first_failure_after_the_start_takes_a_server_down() {
        assert_eq!((after("").health, after("-").health), (2, 0));
    }

    #[test]
    fn init_state_says_how_many_checks_change_it() {
        for (first, is_up, checks) in [
            (FirstState::Up, true, 1),
            (FirstState::FullyUp, true, 3),
            (FirstState::Down, false, 1),
            (FirstState::FullyDown, false, 2),
        ] {
            let state = State::new(Counter::new(2, 3).at(first), Admin::default(), 0);
            assert_eq!(state.op.get() == Op::Running, is_up);
            let (mut counter, mut count) = (state.check.get(), 0);
            while counter.is_up() == is_up {
                let _ = if is_up { counter.fail() } else { counter.pass() };
                count += 1;
            }
            assert_eq!(count, checks, "{first:?}");
        }
    }

    #[test]
    fn fall_failures_in_a_row_take_a_proven_server_down() {
        let steps: Vec<_> = ["+", "+-", "+--", "+--+", "+---", "+---+", "+---+-", "+---++"]
            .map(|r| after(r).steps())
            .to_vec();
        assert_eq!(steps, [(3, 3), (2, 3), (1, 3), (3, 3), (0, 2), (1, 2), (0, 2), (3, 3)]);
    }

    #[test]
    fn what_is_known_already_is_no_news() {
        let mut counter = after("+");
        assert!(!counter.pass());
        counter = after("-");
        assert!(!counter.fail() && counter.pass());
    }

    #[test]
    fn times_are_added_up() {
        let state = State::new(Counter::new(2, 3), Admin::default(), 1_000);
        state.enter(Op::Stopped, 3_000);
        state.enter(Op::Stopped, 4_000);
        assert_eq!(state.facts(5_000).down_ms, 2_000);
        state.enter(Op::Starting, 6_000);
        state.enter(Op::Running, 8_000);
        let facts = state.facts(9_000);
        assert_eq!((facts.down_ms, facts.downs, facts.unchanged_ms), (3_000, 1, 3_000));
    }

    #[test]
    fn a_reload_keeps_what_is_known() {
        let fresh = |admin| State::new(Counter::new(2, 5), admin, 0);
        let old = State::new(Counter::new(2, 3), Admin::default(), 0);
        old.check.set(after("+---"));
        old.enter(Op::Stopped, 10);
        let new = fresh(Admin::default());
        new.inherit(&old, true);
        assert_eq!((new.op.get(), new.check.get().health, new.facts(20).downs), (Op::Stopped, 0, 1));
        old.check.set(after("+"));
        old.enter(Op::Running, 20);
        let new = fresh(Admin::default());
        new.inherit(&old, true);
        assert_eq!((new.op.get(), new.check.get().steps()), (Op::Running, (5, 5)));
        // `disabled` that was taken out of the file is over, an operator's word is not.
        let disabled = Admin::CONFIGURED_MAINT.with(Admin::MAINT);
        let new = fresh(Admin::default());
        new.inherit(&State::new(Counter::new(2, 3), disabled, 0), true);
        assert_eq!((new.op.get(), new.admin.get()), (Op::Running, Admin(0)));
        let new = fresh(Admin::default());
        new.inherit(&State::new(Counter::new(2, 3), Admin::MAINT, 0), true);
        assert_eq!((new.op.get(), new.admin.get()), (Op::Stopped, Admin::MAINT));
    }
}
