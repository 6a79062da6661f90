//! The program as a library: configuration, conversion, measurement, records and reports.
//!
//! It knows no terminal: what is to be said goes through [`Reporter`], what was found is returned.

pub mod config;
mod error;
mod exec;
mod exit;
mod log;
mod paths;
pub mod predict;
mod record;
mod report;
mod reporter;
mod task;

pub use config::Choice;
pub use error::PipelineError;
pub use exec::compare::compare_runs;
pub use exec::convert::{
    ConvertSettings, FolderSettings, FoundSource, convert_folder, convert_models, find_source,
};
pub use exec::fidelity::test_fidelity;
pub use exec::inspect::inspect_folder;
pub use exec::measure::Scenario;
pub use exec::test::{TestSettings, test_models};
pub use exit::ExitClass;
pub use log::Logged;
pub use mlxq_checkpoint::recipe::{Format, Mixed};
pub use mlxq_hub::cache_folder as hub_cache;
pub use paths::{Places, folder_name};
pub use record::{Compared, Inspected, schemas};
#[cfg(test)]
pub(crate) use reporter::Silent;
pub(crate) use reporter::Work;
pub use reporter::{Reporter, Unit};
