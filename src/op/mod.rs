//! The primitives: one file each. An operation looks, compares, has its undo recorded, changes and reports; it speaks to
//! the world only through its [`StepContext`], and so cannot know whether it is planned, applied or fault-tested.

mod context;
mod edit;
mod expect;
mod guard;
mod registry;
mod size;
mod standing;
mod units;

pub use context::{StepContext, StepPort};
pub use external::Service as ExternalService;
pub use guard::{GuardArm, GuardConfirm};
pub use preflight::Missing;
pub use registry::{AnyOperation, BadArguments, Entry, Registry, Subject};
pub use service::AT_BOOT as SERVICE_AT_BOOT;
pub use size::Size;
pub use template::{TemplateMistake, template_mistakes};
pub use units::{Mode, Said, Span};

use crate::step::StepError;
use serde::{Serialize, de::DeserializeOwned};

/// One primitive: its arguments are its fields, positional ones first.
///
/// An embedder adds one with [`Registry::add`]; nothing else has to know of it.
pub trait Operation: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The word in the script; `service.restart` is the method `restart` of what `h.service(..)` gives.
    const NAME: &'static str;
    /// What it is called on.
    const SUBJECT: Subject;
    /// The fields that are given by position; the others are options.
    const POSITIONAL: &'static [&'static str];
    /// The names of the options, where they come from flattened parts and serde cannot tell.
    const OPTIONS: &'static [&'static str] = &[];
    /// The page of the language reference.
    const PAGE: &'static str;
    /// What the script gets back.
    type Output: Serialize;

    /// Looks, compares, changes where needed, reports.
    ///
    /// # Errors
    /// When the host cannot be as asked. What was changed until then is on record.
    fn run(&self, cx: &mut StepContext<'_>) -> Result<Self::Output, StepError>;

    /// What a line of the report says behind the name.
    fn summary(&self) -> String;

    /// The check to hold again when its group is unwound; for health checks.
    fn when_unwound(&self) -> Option<Self> {
        None
    }

    /// What the script gets of a step that was in doubt, and that a person says is done; nothing where it cannot be in doubt,
    /// since it looks before it changes.
    fn assumed(&self) -> Option<Self::Output> {
        None
    }

    /// Whether it may be done once more when it is not known whether it took effect: the script says so.
    fn may_repeat(&self) -> bool {
        false
    }
}

/// Declares the primitives: a module, its type, and its place in the registry. A new primitive is one line here.
macro_rules! operations {
    ($($module:ident: $($type:ident),+;)+) => {
        $(mod $module;
        pub use $module::{$($type),+};)+

        impl Registry {
            /// All primitives that ship with Windlass.
            #[must_use]
            pub fn standard() -> Self {
                let mut registry = Self::empty();
                $($(registry.add::<$module::$type>();)+)+
                registry
            }
        }
    };
}

operations! {
    account: User, Group;
    ask: Ask;
    block: Block;
    chmod: Chmod;
    chown: Chown;
    component: Component;
    copy: CopyFile;
    cron: Cron;
    digest: FileDigest;
    exists: Exists;
    expect_exec: ExpectExec;
    expect_http: ExpectHttp;
    expect_identity: ExpectIdentity;
    expect_tcp: ExpectTcp;
    expect_unit: ExpectUnit;
    fact: Fact;
    external: Healthy, MustBeHealthy;
    fail: Fail;
    fetch: Fetch;
    line: Line;
    list: List;
    log: Log;
    mkdir: Mkdir;
    move_: Move;
    notify: Notify;
    now: Now;
    packages: Packages;
    point_of_no_return: PointOfNoReturn;
    preflight: Preflight;
    probe: Probe;
    read: Read;
    reboot: Reboot;
    remove: Remove;
    run: Run;
    service: Start, Stop, Restart, Reload, Enable, Disable, Status;
    stat: Stat;
    symlink: Symlink;
    template: Template;
    unit: Unit;
    unpack: Unpack;
    upload: Upload;
    uuid: Uuid;
    wait_for: WaitFor;
    write: Write;
}
