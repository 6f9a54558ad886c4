//! Shells of another user: the program that becomes it, and the few lines that are exchanged before its functions go out.

use super::quote;

/// The password for sudo, asked for once; it is sent on standard input only.
#[derive(Clone, Default)]
pub struct Password(Option<String>);

impl Password {
    /// This one.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Some(text))
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a password")
    }
}

/// Becoming a user: what is run, sent and waited for.
pub(crate) struct Become {
    user: String,
    token: String,
    password: Password,
}

impl Become {
    pub(crate) fn new(user: &str, password: &Password) -> Self {
        Self { user: user.to_owned(), token: format!("wl-sudo-{:016x}", rand::random::<u64>()), password: password.clone() }
    }

    /// The program. It says the token once it is the user, and forgets what comes before the token comes back: a password
    /// that nobody asked for must not be taken for a command.
    pub(crate) fn command(&self) -> String {
        let token = &self.token;
        let inner = format!("echo; echo {token}; while read -r l; do [ \"$l\" != {token} ] || break; done; exec /bin/sh");
        let how = if self.password.text().is_some() { "-S -p ''" } else { "-n" };
        format!("exec sudo {how} -H -u {} /bin/sh -c {}", quote(&self.user), quote(&inner))
    }

    /// What is sent first.
    pub(crate) fn first(&self) -> Vec<u8> {
        self.password.text().map(|text| format!("{text}\n").into_bytes()).unwrap_or_default()
    }

    /// What is sent once it is the user, before everything else.
    pub(crate) fn second(&self) -> String {
        format!("{}\n", self.token)
    }

    /// Whether it is the user now.
    pub(crate) fn is_ready(&self, stdout: &[u8]) -> bool {
        let line = format!("\n{}\n", self.token);
        stdout.windows(line.len()).any(|window| window == line.as_bytes())
    }

    /// Why it will not become the user, as far as that is known.
    pub(crate) fn refusal(&self, stderr: &str) -> Option<String> {
        let user = &self.user;
        if stderr.contains("try again") || stderr.contains("incorrect password") {
            return Some(format!("sudo does not take the password for becoming {user}"));
        }
        None
    }

    /// What the end of the program before it became the user means.
    pub(crate) fn failure(&self, stderr: &str) -> (String, Option<String>) {
        let user = &self.user;
        let said = stderr.trim();
        let said = &said[said.ceil_char_boundary(said.len().saturating_sub(2000))..];
        if said.contains("password is required") || said.contains("a terminal is required") {
            let help =
                "give it once with --ask-sudo-password (-K), or let the user become others without one (NOPASSWD in sudoers)";
            return (format!("sudo needs a password for becoming {user}"), Some(help.to_owned()));
        }
        if said.contains("not found") {
            return (
                "there is no sudo on this host".to_owned(),
                Some("log in as the user who does the work, or install sudo".to_owned()),
            );
        }
        (format!("sudo does not become {user}: {said}"), None)
    }
}
