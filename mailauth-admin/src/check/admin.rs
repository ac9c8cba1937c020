//! What `mailauth check` reports about the database user of the `mailauth` command.

use super::findings::{Findings, State, hint, unopened};
use mailauth_core::config::Config;
use mailauth_core::store::{Administration, open_single};

/// Checks whether the database user of `[admin]`, if there is one, has the rights that it needs.
pub(super) fn look(config: &Config, findings: &mut Findings) {
    let what = "admin";
    let Some(administrator) = config.administrator() else { return };
    let store = match open_single(&administrator) {
        Ok(store) => store,
        Err(error) => return findings.add(what, State::Degraded, unopened("admin", &error)),
    };
    let report = match store.admin_report() {
        Ok(report) => report,
        Err(error) => {
            let text = format!("{error}{}; logins do not need this user", hint(&error, &administrator.url));
            return findings.add(what, State::Degraded, text);
        }
    };
    let tls = report.tls.map(|tls| format!(", {tls}")).unwrap_or_default();
    let url = &administrator.url;
    if *url == config.database.url {
        let text = format!("[admin] url names the daemon's own user, {url}; give another user, or remove the section");
        return findings.add(what, State::Degraded, text);
    }
    match &report.lacking[..] {
        [] => findings.add(what, State::Ok, format!("reached {} at {url}{tls}", report.server)),
        lacking => {
            let grants = url.grants_file().unwrap_or("schema/");
            let text = format!(
                "the user of {url} lacks the right to {}; give it the role mailauth_writer of {grants}",
                lacking.join("; ")
            );
            findings.add(what, State::Degraded, text);
        }
    }
}
