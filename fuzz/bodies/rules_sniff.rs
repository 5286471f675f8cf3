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

/// Fetches and converters, over bytes that may be anything. What they make of it is what the unit tests say; here
/// they have to end, and to stay with what they decided.
const CONVERTED: &str = r#"
frontend converted
    mode tcp
    bind :82
    tcp-request inspect-delay 1s
    use_backend ws if { payload(0,0),lower,upper,length gt 60000 } or { payload(0,40),field(-2,/,2),word(1,.) -m beg q }
    use_backend ws if { path,url_dec(1),b64dec,hex,base64 -m sub z } or { query,regsub([a-z]+=,x,gi),bytes(2,9) -m str a }
    use_backend ws if { hdr(x),add(3),mul(-7),div(0),mod(5),xor(9),bool,not,iif(a,b) c } or { hdr(x,-2) -m reg ^a.*b$ }
    use_backend socket if { req.payload_lv(1,2,+1) -m bin 00 } or { hdr(host),ipmask(24,64) -m ip 10.0.0.0/8 2001:db8::/32 }
    use_backend socket if { cook(a),concat(x,,y) -m dir b } or { urlp(a,;) -m dom c } or { http_auth_user root } or { req.len 9:12 }
    use_backend web if { base -m end z } or { req.hdr_names,field(3,",") -m len 7 } or { hdr_ip(x) ::1 } or { req.body_size gt 4 }
"#;

thread_local! {
    static CONFIG: Config = {
        let text = preset("*:80", "h:1", "h:2", "h:3") + MORE + CONVERTED;
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
