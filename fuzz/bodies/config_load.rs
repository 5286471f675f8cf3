//! Any text loads or is refused with a reason; no value gets out of its word in the preset.

use std::path::Path;
use std::rc::Rc;

use oneport::config::{DIAGNOSTICS_MAX, ReadFile, Severity, Source, load, load_with, preset};

/// The line behind which the content of every file stands that the text names.
const FILES: &[u8] = b"\n#FILES\n";

/// Checks one input: any file a user may name, and what may be in the files that it names. None is opened.
pub fn check(data: &[u8]) {
    let at = data.windows(FILES.len()).position(|window| window == FILES);
    let (data, named) = at.map_or((data, None), |at| (&data[..at], Some(data[at + FILES.len()..].to_vec())));
    let files: ReadFile = Rc::new(move |path: &Path, bytes_max: u64| match &named {
        Some(bytes) if bytes.len() as u64 <= bytes_max => Ok(bytes.clone()),
        _ => Err(format!("cannot read the file `{}`", path.display())),
    });
    let env = |name: &str| match name {
        "PORT" => Some("8080".to_owned()),
        "WORDS" => Some(" one  two ".to_owned()),
        "QUOTE" => Some("'\"\\ #$PORT".to_owned()),
        _ => None,
    };
    let loaded = load_with(&[Source::new("fuzz.cfg", data)], &env, Some(files));
    let errors = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    assert_eq!(loaded.config.is_none(), errors > 0);
    assert!(loaded.diagnostics.len() <= 2 * DIAGNOSTICS_MAX + 1);
    for diagnostic in &loaded.diagnostics {
        let text = diagnostic.to_string();
        assert!(!text.is_empty() && text.lines().count() <= 3, "{text}");
    }
    if let Some(config) = &loaded.config {
        for frontend in &config.frontends {
            let rules = frontend.use_backends.iter().map(|rule| rule.backend);
            for id in rules.chain(frontend.default_backend) {
                assert!(id.0 < config.backends.len());
            }
            let conditions = frontend.use_backends.iter().filter_map(|rule| rule.condition.as_ref());
            let tcp =
                frontend.tcp.connection.iter().chain(&frontend.tcp.session).chain(&frontend.tcp.request);
            let content = tcp.filter_map(|rule| rule.condition.as_ref());
            for term in conditions.chain(content).flat_map(|condition| condition.any_of.iter().flatten()) {
                assert!(term.acl.0 < frontend.acls.len());
            }
        }
        for backend in &config.backends {
            let rules = backend.tcp.request.iter().chain(&backend.tcp.response);
            let conditions = rules.filter_map(|rule| rule.condition.as_ref());
            for term in conditions.flat_map(|condition| condition.any_of.iter().flatten()) {
                assert!(term.acl.0 < backend.acls.len());
            }
        }
    }
    stays_one_word(&String::from_utf8_lossy(&data[..data.len().min(600)]), &env);
}

/// The value of a flag changes its own line of the preset and nothing else.
fn stays_one_word(value: &str, env: &dyn Fn(&str) -> Option<String>) {
    let text = preset("*:80", value, "h:2", "h:3");
    let lines = text.lines().count();
    assert_eq!(lines, preset("*:80", "h:1", "h:2", "h:3").lines().count());
    let own =
        text.lines().position(|line| line.starts_with("    server web ")).expect("a line of its own") + 1;
    let loaded = load(&[Source::new("<preset>", text)], env);
    for diagnostic in &loaded.diagnostics {
        assert_eq!(diagnostic.place.line as usize, own, "{diagnostic}");
    }
    if let Some(config) = loaded.config {
        assert_eq!((config.frontends.len(), config.backends.len()), (1, 3));
        assert_eq!(config.backends[0].servers.len(), 1);
        assert!(!config.backends[0].servers[0].backup && !config.backends[0].servers[0].disabled);
    }
}
