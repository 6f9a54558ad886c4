//! Records and events as text and JSON. No logic: a report made from a journal is the same as it was live.

mod duration;
mod fault_test;
pub mod html;
mod json;
mod junit;
mod outlook;
mod plan;
mod progress;
mod size;
mod style;
mod text;

pub use duration::{ago, clock, millis};
pub use fault_test::{trace_lines, verdict_lines, verdict_summary};
pub use html::plan_page;
pub use json::{JsonReport, event as json_event};
pub use junit::junit;
pub use outlook::outlook;
pub use plan::{plan_lines, plan_summary};
pub use progress::{LiveReport, Where};
pub use size::size;
pub use style::{Paint, Plain, Tone, json_line, plain, same_length};
pub use text::{Counts, TextReport, Wordiness};
