//! Records and events as text and JSON. No logic: a report made from a journal is the same as it was live.

mod duration;
pub mod html;
mod json;
mod outlook;
mod plan;
mod progress;
mod size;
mod style;
mod text;

pub use duration::{ago, clock, millis};
pub use html::plan_page;
pub use json::{JsonReport, event as json_event};
pub use outlook::outlook;
pub use plan::{plan_lines, plan_summary};
pub use progress::{LiveReport, Where};
pub use size::size;
pub use style::{Paint, Tone, json_line, plain, same_length};
pub use text::{Counts, TextReport, Wordiness};
