//! What a reader of times should know of the machine, in words.

use super::{Environment, State};

/// Share of stolen time, and cores of others, above which there is a note.
const STEAL: f64 = 0.01;
const OTHERS: f64 = 0.2;

/// One sentence for everything that makes times less certain.
pub(super) fn of(environment: &Environment) -> Vec<String> {
    let states = [&environment.before, &environment.after];
    let any = |holds: fn(&State) -> bool| states.into_iter().any(holds);
    let mut notes = Vec::new();
    if any(|state| state.governors.as_ref().is_some_and(|all| *all != ["performance"])) {
        let all = states.into_iter().flat_map(|state| state.governors.iter().flatten());
        let others: Vec<&str> =
            all.map(String::as_str).filter(|name| *name != "performance").collect();
        let name = others.first().unwrap_or(&"unknown");
        notes.push(format!("the frequency governor is `{name}` and not `performance`"));
    }
    if let Some(share) = environment.meanwhile.steal_share.filter(|share| *share > STEAL) {
        notes.push(format!("{:.1} % of the machine's time was stolen", share * 100.0));
    }
    if let Some(cores) = environment.meanwhile.cores_of_others.filter(|cores| *cores > OTHERS) {
        notes.push(format!("other processes used {cores:.2} cores"));
    }
    if any(|state| state.on_battery == Some(true)) {
        notes.push("the machine ran on its battery".to_owned());
    }
    if any(|state| state.low_power == Some(true)) {
        notes.push("the machine saved power".to_owned());
    }
    let threads = environment.engines.iter().map(|engine| engine.threads).max();
    if let (Some(threads), Some(cores)) = (threads, environment.machine.physical_cores)
        && threads > cores
    {
        notes.push(format!("{threads} threads shared {cores} cores"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::super::EngineFacts;
    use super::*;

    #[test]
    fn a_quiet_machine_has_no_notes() {
        let mut environment = Environment::default();
        assert!(of(&environment).is_empty(), "nothing is known");
        environment.before.governors = Some(vec!["performance".to_owned()]);
        environment.meanwhile.steal_share = Some(0.01);
        environment.meanwhile.cores_of_others = Some(0.2);
        environment.machine.physical_cores = Some(4);
        environment.engines = vec![EngineFacts { threads: 4, ..EngineFacts::default() }];
        assert!(of(&environment).is_empty(), "{:?}", of(&environment));
    }

    #[test]
    fn everything_that_disturbs_is_said() {
        let mut environment = Environment::default();
        environment.after.governors = Some(vec!["performance".to_owned(), "powersave".to_owned()]);
        environment.after.on_battery = Some(true);
        environment.before.low_power = Some(true);
        environment.meanwhile.steal_share = Some(0.015);
        environment.meanwhile.cores_of_others = Some(0.21);
        environment.machine.physical_cores = Some(2);
        environment.engines = vec![EngineFacts { threads: 4, ..EngineFacts::default() }];
        let notes = of(&environment).join("; ");
        for words in ["`powersave`", "1.5 %", "0.21 cores", "battery", "saved power", "4 threads"] {
            assert!(notes.contains(words), "{words} is not in {notes}");
        }
    }
}
