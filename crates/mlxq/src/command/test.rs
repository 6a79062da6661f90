//! `mlxq test` and `mlxq run`: measure, judge, record.

use mlxq_pipeline::{
    PipelineError, Places, Reporter, Scenario, TestSettings, config, test_fidelity, test_models,
};

use crate::args::TestArguments;
use crate::command::{dataset_mirror, hub_cache, pipeline_failure, temp_dir, threads};
use crate::exit::{Done, Failure};
use crate::printer::Printer;

/// Runs the command; `convert` converts what is missing first.
pub(crate) fn run(arguments: &TestArguments, printer: &Printer, convert: bool) -> Done {
    let mut config = config::load(&arguments.config).map_err(pipeline_failure)?;
    config.use_mirror(dataset_mirror());
    config.check_benchmarks().map_err(pipeline_failure)?;
    for warning in &config.warnings {
        printer.warning(warning);
    }
    let settings = TestSettings {
        convert,
        model: arguments.model.clone(),
        dataset: arguments.dataset.clone(),
        output_dir: arguments.output_dir.clone(),
        places: Places::new(temp_dir()),
        hub_cache: hub_cache(),
        program: std::env::current_exe().map_err(Failure::input)?,
        python: arguments.python.clone(),
        no_torch: arguments.no_torch,
        threads: threads(arguments.threads),
        activations: arguments.activations,
        max_samples: arguments.max_samples,
        seed: arguments.seed,
        scenario: scenario(arguments).map_err(pipeline_failure)?,
        rounds: arguments.block_pairs,
        block_seconds: arguments.block_seconds,
        reuse_baseline: arguments.reuse_baseline,
        against_itself: arguments.against_itself,
        fresh: arguments.fresh,
        strict: arguments.strict,
        dry_run: arguments.dry_run,
    };
    let mut printed = Ok(());
    let mut show = |table: &str| {
        if printed.is_ok() {
            printed = printer.result(table);
        }
    };
    let done = match &arguments.fidelity {
        Some(texts) => test_fidelity(&config, &settings, texts, printer, &mut show),
        None => test_models(&config, &settings, printer, &mut show),
    };
    printed.map_err(Failure::input)?;
    done.map_err(pipeline_failure)
}

/// Queries of a batch where none are asked for.
const BATCH_SIZE: usize = 32;

/// The scenario with its own settings.
///
/// # Errors
/// When a setting of another scenario is given.
fn scenario(arguments: &TestArguments) -> Result<Scenario, PipelineError> {
    let TestArguments { scenario, batch_size, rate, .. } = arguments;
    match (scenario.as_str(), *batch_size, *rate) {
        ("single-stream", None, None) => Ok(Scenario::SingleStream),
        ("offline", size, None) => Ok(Scenario::Offline { batch_size: size.unwrap_or(BATCH_SIZE) }),
        ("server", None, Some(rate)) => Ok(Scenario::Server { rate }),
        (name, ..) => Err(PipelineError::Usage(format!(
            "--batch-size is for --scenario offline and --rate for server, not for {name}"
        ))),
    }
}
