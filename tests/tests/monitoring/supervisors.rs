//! Icinga 2, Nagios and sudo accept the files for them.

use super::{libraries, shipped, text_of, unpacked};
use mailauth_tests::{Scratch, run};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn icinga_checks_each_host_that_asks_for_it() {
    let folder = Scratch::new("icinga");
    let config = format!(
        "include <itl>\nobject Endpoint \"mx1\" {{ }}\nobject Zone \"mx1\" {{ endpoints = [ \"mx1\" ] }}\n\
         object Host \"mx1\" {{\n  check_command = \"dummy\"\n  zone = \"mx1\"\n  vars.mailauth = true\n\
         vars.mailauth_endpoint = \"mx1\"\n  vars.mailauth_warning = [ \"latency=0.5\" ]\n}}\n\
         object Host \"other\" {{\n  check_command = \"dummy\"\n}}\ninclude \"{}\"\n",
        shipped("icinga2/mailauth.conf").display()
    );
    fs::write(folder.join("icinga2.conf"), config).expect("the configuration");
    let program = libraries("icinga").join("icinga2/sbin/icinga2");
    let mut command = Command::new(unpacked(program.to_str().expect("a path")));
    command.env("LD_LIBRARY_PATH", unpacked(libraries("icinga").to_str().expect("a path")));
    command.args(["daemon", "-C", "-DRunAsUser=root", "-DRunAsGroup=root", "-DNodeName=mx1", "-c"]);
    command.arg(folder.join("icinga2.conf"));
    command.arg("--include").arg(unpacked("icinga/usr/share/icinga2/include"));
    for name in ["DataDir", "LogDir", "CacheDir", "InitRunDir", "ConfigDir"] {
        command.arg(format!("-D{name}={}", folder.path().display()));
    }
    let said = run(&mut command);
    assert!(said.contains("Instantiated 1 Service.") && said.contains("Finished validating"), "{said}");
    assert!(!said.contains("warning/") && !said.contains("critical/"), "{said}");
}

#[test]
fn nagios_checks_the_hosts_of_the_group() {
    let folder = Scratch::new("nagios");
    let place = folder.path().display();
    let mut config = format!("cfg_file={place}/host.cfg\ncfg_file={}\n", shipped("nagios/mailauth.cfg").display());
    for name in ["templates", "contacts", "timeperiods", "commands"] {
        config += &format!("cfg_file={}\n", unpacked(&format!("nagios/etc/nagios4/objects/{name}.cfg")).display());
    }
    for key in ["log_file", "object_cache_file", "status_file", "temp_file", "lock_file", "command_file"] {
        config += &format!("{key}={place}/{key}\n");
    }
    config += &format!("check_result_path={place}\nnagios_user=root\nnagios_group=root\n");
    fs::write(folder.join("nagios.cfg"), config).expect("the configuration");
    let host = "define host {\n use generic-host\n host_name mx1\n address 127.0.0.1\n hostgroups mailauth\n\
                max_check_attempts 3\n}\n\
                define command {\n command_name check-host-alive\n command_line /bin/true\n}\n";
    fs::write(folder.join("host.cfg"), host).expect("a host");
    let said = run(Command::new(unpacked("nagios/usr/sbin/nagios4")).arg("-v").arg(folder.join("nagios.cfg")));
    for line in ["Checked 1 services.", "Checked 1 hosts.", "Total Errors:   0"] {
        assert!(said.contains(line), "no {line:?} in {said}");
    }
}

#[test]
fn sudo_accepts_the_rule_of_the_plugin() {
    let folder = Scratch::new("sudo");
    let rules = folder.join("mailauth");
    fs::write(&rules, text_of(shipped("sudoers.d/mailauth"))).expect("the rules");
    fs::set_permissions(&rules, Permissions::from_mode(0o440)).expect("their mode");
    let mut command = Command::new(unpacked("sudo/usr/sbin/visudo"));
    command.env("LD_LIBRARY_PATH", unpacked("sudo/usr/libexec/sudo")).arg("-cf").arg(&rules);
    let said = run(&mut command);
    assert!(said.contains("parsed OK"), "{said}");
}
