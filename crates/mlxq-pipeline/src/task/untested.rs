//! Tasks whose models are converted and not yet tested.

use mlxq_engine::{EngineInfo, Output};
use mlxq_eval::metric::Metric;

use super::{Answers, Material, Questions, References, Rules};
use crate::PipelineError;

/// A task of the original pipeline that only a conversion knows here.
pub(super) struct Untested(pub(super) &'static [&'static str]);

impl Untested {
    fn refuse<T>(&self) -> Result<T, PipelineError> {
        let name = self.0[0];
        let reason =
            format!("models of the task `{name}` are converted but not tested by this version");
        Err(PipelineError::Usage(reason))
    }
}

impl Rules for Untested {
    fn names(&self) -> &'static [&'static str] {
        self.0
    }

    fn metrics(&self) -> &'static [Metric] {
        &[]
    }

    fn references(&self, _: &Material) -> Result<References, PipelineError> {
        self.refuse()
    }

    fn questions<'a>(&self, _: &'a Material) -> Result<Questions<'a>, PipelineError> {
        self.refuse()
    }

    fn answers(&self, _: &Material, _: &Output, _: &EngineInfo) -> Result<Answers, PipelineError> {
        self.refuse()
    }
}
