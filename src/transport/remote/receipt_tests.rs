//! A receipt speaks of one process: whoever has its number now is another one, and is left alone.

use super::library::library;
use std::process::{Command, Stdio};

/// Somebody else's process, in a group of its own, as a command would be. Gives its number.
fn stranger() -> u32 {
    let script = "setsid sleep 60 >/dev/null 2>&1 & echo $!";
    let output = Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// When a process began, as its receipt has it; nothing when it is gone.
fn birth(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    (!stat.contains(") Z ")).then(|| stat.split(' ').nth(21).unwrap().to_owned())
}

/// What a call says of a command whose receipt has this number and birth.
fn says(call: &str, pid: u32, birth: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let head = "wl_k=k wl_c=a/b/c wl_run=r wl_u=u wl_lock= wl_e= wl_v=\n";
    let receipt = format!(
        "mkdir -p $W/x; : >$W/x/R.started; echo '{pid} {birth}' >$W/x/R.pid; cat /proc/sys/kernel/random/boot_id >$W/x/R.boot\n"
    );
    let script = format!("{head}{}\n{receipt}wl 1 {call}\n", library().whole());
    let output = Command::new("/bin/sh").args(["-c", &script]).env("HOME", home.path()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn who_has_the_number_of_a_command_now_is_not_ended_nor_waited_for() {
    let other = stranger();
    let said = says("wl_end R", other, "1");
    assert!(said.starts_with("same\n") && birth(other).is_some(), "{said}");
    // Which command is waited for is told by a variable.
    let said = says("eval 'x=$W/x/R; wl_await 100'", other, "1");
    assert!(said.starts_with("vanished\n"), "{said}");
    let said = says("wl_end R", other, &birth(other).unwrap());
    assert!(said.starts_with("changed\n"), "{said}");
    let begun = std::time::Instant::now();
    while birth(other).is_some() {
        assert!(begun.elapsed().as_secs() < 10, "it was not ended: {said}");
        std::thread::yield_now();
    }
}
