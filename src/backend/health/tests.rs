use super::*;
use crate::config;
use crate::net::Target;

#[test]
fn pauses_are_spread_around_their_length() {
    let spread: Vec<u64> = (0..2_000).map(|chance| spread_ms(2_000, 5, chance)).collect();
    assert_eq!((spread.iter().min(), spread.iter().max()), (Some(&1_900), Some(&2_100)));
    assert_eq!(spread_ms(2_000, 0, 12_345), 2_000);
}

#[test]
fn checks_are_brought_forward_to_be_made_together() {
    assert_eq!([10_001, 10_019, 10_020].map(|at_ms| together_ms(at_ms, 2_000)), [10_000, 10_000, 10_020]);
    assert_eq!([10_001, 10_019, 10_020].map(|at_ms| together_ms(at_ms, 60_000)), [10_000, 10_000, 10_020]);
    assert_eq!([10_001, 10_019].map(|at_ms| together_ms(at_ms, 500)), [10_000, 10_015]);
    assert_eq!([10_001, 10_019].map(|at_ms| together_ms(at_ms, 20)), [10_001, 10_019]);
}

#[test]
fn the_pause_depends_on_the_state() {
    let check = Check { fastinter_ms: Some(500), downinter_ms: Some(5_000), ..Check::default() };
    let config = config::Server { check: Some(check), ..config::Server::default() };
    let server = Server::new(config, vec![Target::Inet("127.0.0.1:1".parse().unwrap())]);
    let pause = |results: &str| {
        for result in results.chars() {
            let mut counter = server.state.check.get();
            if result == '+' {
                counter.pass()
            } else {
                counter.fail()
            };
            server.state.check.set(counter);
        }
        pause_ms_of(&server, &check)
    };
    // On probation, proven, failing, failed but not yet taken down.
    assert_eq!([pause(""), pause("+"), pause("-"), pause("--")], [500, 2_000, 500, 500]);
    server.set_up(false);
    assert_eq!([pause(""), pause("+"), pause("-")], [5_000, 500, 5_000]);
}

#[test]
fn a_slow_start_goes_up_in_sixteenths() {
    let server = Server::new(
        config::Server { weight: 10, maxconn: Some(8), ..config::Server::default() },
        vec![Target::Inet("127.0.0.1:1".parse().unwrap())],
    );
    assert_eq!(server.effective_weight(), 160);
    server.connections.set(1);
    for (past_ms, weight, is_full) in
        [(0, 10, true), (500, 10, true), (5_000, 90, false), (10_000, 160, false)]
    {
        server.set_ramp(past_ms, 10_000);
        assert_eq!((server.effective_weight(), server.is_full()), (weight, is_full), "{past_ms}");
    }
}
