//! A decision that was made on the first bytes stays, whatever bytes follow and however they are cut.

use oneport::config::{Config, Source, load, preset};
use oneport::rules::{Choice, ContentVerdict, View, choose_backend, content_verdict};

/// Rules with every matcher, beside those of the preset.
const MORE: &str = "
frontend more
    mode tcp
    bind :81
    tcp-request inspect-delay 1s
    tcp-request content reject if { payload(0,2) -m bin ffff } !HTTP
    tcp-request content accept if { payload(0,0) -m sub accept } or { hdr(x,-1) -m dir a }
    tcp-request content reject unless HTTP || { payload(1,4) -m end z }
    use_backend ws if { payload(0,0) -m beg GET } { hdr_dom(host) -i example.org }
    use_backend socket if { payload(2,6) -m beg ab ac } || { payload(0,0) -m str whole }
    use_backend web if { hdr(x,2) -m found } !{ payload(0,9) -m sub q } || { hdr_end(host) -i .org }
";

thread_local! {
    static CONFIG: Config = {
        let text = preset("*:80", "h:1", "h:2", "h:3") + MORE;
        load(&[Source::new("fuzz.cfg", text)], &|_| None).config.expect("a good configuration")
    };
}

/// Checks one input: any bytes a client may send.
pub fn check(data: &[u8]) {
    CONFIG.with(|config| {
        for frontend in &config.frontends {
            let (mut chosen, mut content) = (Choice::NotYet, ContentVerdict::NotYet);
            // Every cut of short inputs, some of long ones; the whole input last.
            let step = data.len() / 256 + 1;
            for end in (0..data.len()).step_by(step).chain([data.len()]) {
                let view = View::new(&data[..end], false);
                let choice = choose_backend(frontend, &view);
                assert!(
                    chosen == Choice::NotYet || chosen == choice,
                    "{chosen:?} became {choice:?} at {end}"
                );
                let verdict = content_verdict(frontend, &view);
                assert!(
                    content == ContentVerdict::NotYet || content == verdict,
                    "{content:?} became {verdict:?} at {end}"
                );
                (chosen, content) = (choice, verdict);
                let last = View::new(&data[..end], true);
                let (choice, verdict) = (choose_backend(frontend, &last), content_verdict(frontend, &last));
                assert!(choice != Choice::NotYet && verdict != ContentVerdict::NotYet);
                assert!(chosen == Choice::NotYet || chosen == choice, "final differs at {end}");
                assert!(content == ContentVerdict::NotYet || content == verdict, "final differs at {end}");
            }
        }
    });
}
