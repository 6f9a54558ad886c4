//! `h.user(name)` and `h.group(name)`: who may work on a host.

use super::{Operation, StepContext, Subject};
use crate::effect::{Account, Effect, GroupAccount, Presence, UserAccount};
use crate::id::RemotePath;
use crate::step::StepError;
use serde::{Deserialize, Serialize};

/// Makes, changes or removes a user. What is not given stays as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    name: AccountName,
    #[serde(default)]
    state: Presence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    /// Its own group: a name, or a number as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<AccountName>,
    /// Groups that it is to be in as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<AccountName>>,
    /// Whether it is to be in no groups but these.
    #[serde(default)]
    groups_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shell: Option<RemotePath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    home: Option<RemotePath>,
    /// Whether a new user's home is made: yes, but for a `system` user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    create_home: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<Comment>,
    /// A new one gets a number of those for services.
    #[serde(default)]
    system: bool,
}

/// Makes, changes or removes a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    name: AccountName,
    #[serde(default)]
    state: Presence,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    /// A new one gets a number of those for services.
    #[serde(default)]
    system: bool,
}

/// A name that every host's tools take.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
struct AccountName(String);

impl TryFrom<String> for AccountName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > 32 || name.starts_with(['-', '.']) || !name.chars().all(plain) {
            return Err(format!("`{name}` is no name of a user or group; use up to 32 letters, digits, `.`, `_` and `-`"));
        }
        Ok(Self(name))
    }
}

/// A line without what separates the fields of the list of users.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
struct Comment(String);

impl TryFrom<String> for Comment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains([':', '\n', '\0']) {
            return Err("a user's comment is one line without `:`".to_owned());
        }
        Ok(Self(text))
    }
}

/// A number alone names no account: it could be taken for the number of another one.
fn check(name: &AccountName) -> Result<(), StepError> {
    if name.0.chars().all(|c| c.is_ascii_digit()) {
        return Err(StepError::bad_input(format!("`{}` is a number, not a name", name.0)));
    }
    Ok(())
}

impl Operation for User {
    const NAME: &'static str = "user";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["name"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/user.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        check(&self.name)?;
        self.groups.iter().flatten().try_for_each(check)?;
        if self.groups_only && self.groups.is_none() {
            return Err(StepError::bad_input("`groups_only` says that the user is in no other groups than `groups`, which is missing"));
        }
        let extra = self.uid.is_some() || self.group.is_some() || self.groups.is_some() || self.shell.is_some();
        if self.state == Presence::Absent && (extra || self.home.is_some() || self.comment.is_some()) {
            return Err(StepError::bad_input("a user that is to be absent has nothing else to be"));
        }
        let text = |path: &RemotePath| path.as_str().to_owned();
        let account = Account::User(UserAccount {
            name: self.name.0.clone(),
            presence: self.state,
            uid: self.uid,
            group: self.group.as_ref().map(|group| group.0.clone()),
            groups: self.groups.as_ref().map(|groups| groups.iter().map(|group| group.0.clone()).collect()),
            groups_only: self.groups_only,
            shell: self.shell.as_ref().map(text),
            home: self.home.as_ref().map(text),
            create_home: self.create_home.unwrap_or(!self.system),
            comment: self.comment.as_ref().map(|comment| comment.0.clone()),
            system: self.system,
        });
        cx.apply(|save| Effect::Account { account, save })
    }

    fn summary(&self) -> String {
        summary(&self.name, self.state)
    }
}

impl Operation for Group {
    const NAME: &'static str = "group";
    const SUBJECT: Subject = Subject::Host;
    const POSITIONAL: &'static [&'static str] = &["name"];
    const PAGE: &'static str = include_str!("../../stdlib/doc/group.md");
    type Output = bool;

    fn run(&self, cx: &mut StepContext<'_>) -> Result<bool, StepError> {
        check(&self.name)?;
        if self.state == Presence::Absent && self.gid.is_some() {
            return Err(StepError::bad_input("a group that is to be absent has no number"));
        }
        let group = GroupAccount { name: self.name.0.clone(), presence: self.state, gid: self.gid, system: self.system };
        cx.apply(|save| Effect::Account { account: Account::Group(group), save })
    }

    fn summary(&self) -> String {
        summary(&self.name, self.state)
    }
}

fn summary(name: &AccountName, state: Presence) -> String {
    match state {
        Presence::Present => name.0.clone(),
        Presence::Absent => format!("{} (absent)", name.0),
    }
}
