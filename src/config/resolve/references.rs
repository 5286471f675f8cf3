//! What expressions name, found once all of the text was read.

use std::fmt;
use std::mem::take;

use crate::config::builder::Builder;
use crate::config::diagnostics::Severity;
use crate::config::draft::Proxy;
use crate::config::model::{BackendId, StickTable, Target};
use crate::config::sample::{Reference, ReferenceKind};
use crate::config::suggest;

/// What the expressions name, in the order of their ids. Disabled frontends are still numbered by name.
pub(super) fn references(
    b: &mut Builder<'_>,
    backends: &[Option<BackendId>],
    tables: &[StickTable],
) -> Vec<Target> {
    let mut targets = Vec::with_capacity(b.shared.references.len());
    for reference in take(&mut b.shared.references) {
        match reference_target(b, backends, tables, &reference) {
            Ok(target) => targets.push(target),
            Err(message) => b.sink.push(Severity::Error, reference.spot, message),
        }
    }
    targets
}

fn reference_target(
    b: &Builder<'_>,
    backends: &[Option<BackendId>],
    tables: &[StickTable],
    reference: &Reference,
) -> Result<Target, String> {
    let name = reference.name.as_str();
    match reference.kind {
        ReferenceKind::Pages => {
            let names = b.error_sections.iter().map(|(name, _)| name.as_str()).collect();
            let at = position(name, names, format_args!("there is no section http-errors `{name}`"))?;
            let pages = b.error_sections.get(at).map(|(_, pages)| pages.as_slice());
            return Ok(Target::Pages(pages.unwrap_or_default().into()));
        }
        ReferenceKind::Users => {
            let names = b.userlists.iter().map(|list| list.name.as_str()).collect();
            return position(name, names, format_args!("there is no userlist `{name}`")).map(Target::Users);
        }
        ReferenceKind::Table => {
            let names = tables.iter().map(|table| &*table.name).collect();
            return position(name, names, format_args!("`{name}` has no stick-table")).map(Target::Table);
        }
        ReferenceKind::Frontend => {
            if b.proxy_named(false, name).is_none() {
                let hint = b.hint_of_proxies(false, name);
                return Err(format!("there is no frontend `{name}`{hint}"));
            }
            return Ok(Target::Frontend(name.into()));
        }
        ReferenceKind::Backend | ReferenceKind::Server => {}
    }
    let (name, server) = match reference.kind {
        ReferenceKind::Server => name
            .split_once('/')
            .map(|(b, s)| (b, Some(s)))
            .ok_or_else(|| format!("`{name}`: expected backend/server, as `srv_is_up(web/s1)`"))?,
        _ => (name, None),
    };
    let at = b.proxy_named(true, name);
    let proxy = at.and_then(|at| b.proxies.get(at).zip(backends.get(at).copied().flatten()));
    let Some((proxy, id)) = proxy else {
        let hint = b.hint_of_proxies(true, name);
        return Err(format!("there is no backend `{name}`{hint}"));
    };
    let Some(server) = server else { return Ok(Target::Backend(id)) };
    let missing = format_args!("backend `{name}` has no server `{server}`");
    position(server, server_names(proxy), missing).map(|index| Target::Server(id, index))
}

pub(super) fn server_names(proxy: &Proxy) -> Vec<&str> {
    proxy.servers.iter().map(|server| server.name.as_str()).collect()
}

/// Where a name stands among those there are.
///
/// # Errors
/// Nowhere: what is `missing`, and the name that may have been meant.
pub(super) fn position(name: &str, names: Vec<&str>, missing: fmt::Arguments<'_>) -> Result<usize, String> {
    let at = names.iter().position(|known| *known == name);
    at.ok_or_else(|| format!("{missing}{}", suggest::hint(name, names.into_iter())))
}

/// Warns of pages that are asked for and that a section does not have.
pub(super) fn check_pages(b: &mut Builder<'_>, references: &[Target]) {
    for (id, status, spot) in take(&mut b.shared.wanted_pages) {
        // After an error the ids are not those of the list any more.
        if !b.sink.has_errors()
            && let Some(Target::Pages(pages)) = references.get(id.0)
            && !pages.iter().any(|(known, _)| *known == status)
        {
            let message = format!("this section http-errors has no page for the status {status}");
            b.sink.push(Severity::Warning, spot, message);
        }
    }
}
