//! The configuration that the object keeps in Exim's processes, and its changes.

use crate::site::Site;
use mailauth_tests::eventually;
use mailauth_tests::exim::{Exim, Form};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CONFIG: &str = "/etc/mailauth/mailauth.toml";

/// Waits until the configuration is so old that it may be kept.
fn wait_until_settled(site: &Site) {
    eventually("a configuration that was not just written", Duration::from_secs(20), || {
        ["/etc/passwd", "/etc/group", CONFIG].iter().all(|path| {
            let changed = fs::metadata(site.host.inside(path)).or_else(|_| fs::metadata(path)).expect("a file").ctime();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
            u64::try_from(changed).is_ok_and(|changed| changed + 4 < now)
        })
    });
}

#[test]
fn a_changed_configuration_takes_effect_in_a_running_process() {
    let site = Site::new(Form::Dlfunc);
    let good = fs::read_to_string(site.host.inside(CONFIG)).expect("the configuration");
    let elsewhere = good.replace("[client]\nsocket = \"/run", "[client]\nsocket = \"/nun");
    assert_eq!(good.len(), elsewhere.len());
    assert_ne!(good, elsewhere);
    site.exim.write("/etc/mailauth/good", &good);
    site.exim.write("/etc/mailauth/elsewhere", &elsewhere);
    site.exim.write("/etc/mailauth/wrong", "[client]\nsoket = 'x'\n");
    wait_until_settled(&site);
    let ask = format!("<${{dlfunc{{{}/libmailauth_exim.so}}{{mailauth_domain}}{{example.org}}}}>\n", Exim::FOLDER);
    // In place, in the same second and with the same length; by another file; away.
    let shell = |script: &str| format!("${{run{{/bin/sh -c '{script}'}}}}\n");
    let steps = [
        ask.clone(),
        ask.clone(),
        shell("cat /etc/mailauth/elsewhere >/etc/mailauth/mailauth.toml"),
        ask.clone(),
        shell("cat /etc/mailauth/good >/etc/mailauth/mailauth.toml"),
        ask.clone(),
        shell("mv /etc/mailauth/wrong /etc/mailauth/mailauth.toml"),
        ask.clone(),
        shell("rm /etc/mailauth/mailauth.toml"),
        ask.clone(),
        shell("mv /etc/mailauth/good /etc/mailauth/mailauth.toml"),
        ask,
    ];
    let said = site.exim.run(&["-be"], &steps.concat()).said;
    let answers: Vec<&str> = said.lines().filter(|line| line.contains('<') || line.contains("Failed")).collect();
    let expected =
        ["<yes>", "<yes>", "there is no /nun", "<yes>", "did you mean socket?", "there is no config", "<yes>"];
    assert_eq!(answers.len(), expected.len(), "{said}");
    for (answer, expected) in answers.iter().zip(expected) {
        assert!(answer.contains(expected), "{expected}: {said}");
    }
    site.no_panic();
}
