//! What a server answers to a health check is judged the same in every segmentation, and never without an end.

use oneport::backend::{Answer, Judgement, judge};
use oneport::config::{CheckAct, CheckKind, CheckPattern, CheckPlan, CheckStep, Source, load};
use std::rc::Rc;

/// What is expected: each with all that can be looked for.
const LINES: [&str; 16] = [
    "option httpchk",
    "option httpchk\n http-check expect ! status 500-599,404",
    "option httpchk\n http-check expect rstatus ^[23]",
    "option httpchk\n http-check expect string ok",
    "option httpchk\n http-check expect ! rstring err.r",
    "option httpchk\n http-check expect hdr name -m beg x- value -m sub b",
    "option httpchk\n http-check expect fhdr name -m end id value -m reg ^[a-z]+$",
    "option tcp-check\n tcp-check expect string +OK",
    "option tcp-check\n tcp-check expect min-recv 4 ! rstring ^-",
    "option tcp-check\n tcp-check expect binary 0001",
    "option tcp-check\n tcp-check expect rbinary ^(00|7f)",
    "option smtpchk",
    "option mysql-check user a",
    "option pgsql-check user a",
    "option ldap-check",
    "option ssl-hello-chk",
];

thread_local! {
    static PLANS: Vec<Rc<CheckPlan>> = LINES.iter().map(|lines| plan(lines)).collect();
}

fn plan(lines: &str) -> Rc<CheckPlan> {
    let text = format!(
        "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nbackend b\n {lines}\n \
         server s 127.0.0.1:1 check\nfrontend f\n bind :1\n default_backend b\n"
    );
    let config = load(&[Source::new("t", text)], &|_| None).config.expect("a configuration");
    config.backends[0].check_plan.clone().expect("a plan")
}

/// Checks one input: the first byte picks what is expected, the second one how; the others are the answer.
pub fn check(data: &[u8]) {
    let [pick, how, bytes @ ..] = data else { return };
    let to_head = how & 1 == 1;
    let takes_404 = how & 2 == 2;
    PLANS.with(|plans| {
        let plan = &plans[usize::from(*pick) % plans.len()];
        for step in &plan.steps {
            judged(plan.kind, step, Answer { bytes, is_last: true, to_head, takes_404 });
        }
    });
}

fn judged(kind: CheckKind, step: &CheckStep, whole: Answer<'_>) {
    let CheckAct::Expect(expect) = &step.act else { return };
    let of = |len: usize, is_last| {
        let mut code = 0;
        let answer = Answer { bytes: &whole.bytes[..len], is_last, ..whole };
        let judgement = judge(expect, step, kind, &answer, &mut code);
        // Only what an answer has said is a code.
        assert!(code == 0 || len > 0);
        judgement
    };
    let len = whole.bytes.len();
    let end = of(len, true);
    assert_ne!(end, Judgement::NotYet, "nothing more can come");
    // What a head alone decides does not change with what follows it.
    let by_head = matches!(
        expect.pattern,
        CheckPattern::Status(_) | CheckPattern::StatusRegex(_) | CheckPattern::Header { .. }
    );
    for at in (0..len).step_by(len / 64 + 1) {
        let early = of(at, false);
        if by_head && early != Judgement::NotYet {
            assert_eq!(early, end, "at {at}");
        }
    }
}
