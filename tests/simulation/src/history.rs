//! One history from its plan to its end, and the smallest plan that still fails.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use domain::breakage::{self, Breakage};
use schemas::Codec;

use crate::plan::{self, Knobs, Step};
use crate::seen::Seen;
use crate::world::{World, Wrong};

/// How a history is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What is broken in it on purpose.
    pub breakage: Option<Breakage>,
    /// Whether a failure is not made smaller.
    pub as_it_is: bool,
    /// Whether the bytes of every log are summed up.
    pub digest: bool,
}

impl Options {
    /// With this defect switched on.
    pub fn broken(breakage: Breakage) -> Self {
        Self { breakage: Some(breakage), ..Self::default() }
    }
}

/// A history in which something that has to hold did not.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What was broken on purpose.
    pub breakage: Option<Breakage>,
    /// Which step showed it, from 0; the number of steps if it showed at the end.
    pub step: usize,
    /// What does not hold.
    pub law: &'static str,
    /// What broke it.
    pub detail: String,
    /// What the history is like.
    pub knobs: Knobs,
    /// The steps that are left.
    pub steps: Vec<Step>,
    /// How many there were.
    pub drawn: usize,
    /// What the log has of what the detail names.
    pub story: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broken = self.breakage.map(|it| format!(" with {it} broken")).unwrap_or_default();
        writeln!(f, "seed {}{broken}: does not hold: {}", self.seed, self.law)?;
        let detail: String = self.detail.chars().take(2000).collect();
        writeln!(f, "  {detail}")?;
        writeln!(f, "  {:?}", self.knobs)?;
        writeln!(f, "  {} of {} steps are enough; it shows at step {}:", self.steps.len(), self.drawn, self.step)?;
        for (n, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {n:>4}  {step:?}")?;
        }
        self.story.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// What a panic breaks.
const ASSERTION: &str = "no assertion fails";

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// A panic of a history is one more way to fail, and is told with it.
fn quiet_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
}

/// Runs the history of a seed.
///
/// # Errors
/// Something that has to hold does not; with as few steps as still show it.
pub fn run(seed: u64, codec: &Codec, options: &Options) -> Result<Seen, Box<Failure>> {
    quiet_panics();
    let (knobs, steps) = plan::draw(seed);
    let (step, wrong, story) = match play(seed, codec, options, &knobs, &steps) {
        Ok(seen) => return Ok(seen),
        Err(found) => *found,
    };
    let mut failure = Failure {
        seed,
        breakage: options.breakage,
        step,
        law: wrong.law,
        detail: wrong.detail,
        knobs,
        drawn: steps.len(),
        steps,
        story,
    };
    if !options.as_it_is {
        shrink(&mut failure, codec, options);
    }
    Err(Box::new(failure))
}

/// Where it was wrong, what, and what the log has of it.
type Found = Box<(usize, Wrong, Vec<String>)>;

/// Plays a plan; `Err` tells at which step something was wrong.
fn play(seed: u64, codec: &Codec, options: &Options, knobs: &Knobs, steps: &[Step]) -> Result<Seen, Found> {
    let mut at = 0;
    QUIET.set(true);
    let played = catch_unwind(AssertUnwindSafe(|| {
        breakage::with(options.breakage, || {
            let mut world = World::new(knobs.clone(), codec, seed);
            play_in(&mut world, seed, steps, &mut at);
            let wrong = world.wrong.take();
            let story = wrong.as_ref().map(|wrong| world.story(&wrong.detail));
            let mut seen = world.tally();
            seen.digest = if options.digest { world.digest() } else { 0 };
            (seen, wrong, story.unwrap_or_default())
        })
    }));
    QUIET.set(false);
    match played {
        Ok((seen, None, _)) => Ok(seen),
        Ok((_, Some(wrong), story)) => Err(Box::new((at, wrong, story))),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Box::new((at, Wrong { law: ASSERTION, detail: text.unwrap_or_default() }, Vec::new())))
        }
    }
}

fn play_in(world: &mut World, seed: u64, steps: &[Step], at: &mut usize) {
    for step in steps {
        // What comes of a step depends on the step, not on how many were before it.
        world.reseed(seed, *at);
        world.take(*step);
        if world.wrong.is_some() {
            return;
        }
        world.read_all_along();
        if world.wrong.is_some() {
            return;
        }
        *at += 1;
    }
    world.reseed(seed, usize::MAX);
    world.heal();
    if world.wrong.is_none() {
        world.check_all();
    }
}

/// Leaves steps out, many at once and then one by one, as long as the same law breaks.
fn shrink(failure: &mut Failure, codec: &Codec, options: &Options) {
    let mut left = 400;
    let mut size = failure.steps.len() / 2;
    while size > 0 && left > 0 {
        let mut from = 0;
        while from < failure.steps.len() && left > 0 {
            left -= 1;
            let to = (from + size).min(failure.steps.len());
            let fewer: Vec<Step> = [&failure.steps[..from], &failure.steps[to..]].concat();
            match play(failure.seed, codec, options, &failure.knobs, &fewer) {
                Err(found) if same(&found.1, failure) => {
                    let (step, wrong, story) = *found;
                    (failure.steps, failure.step) = (fewer, step);
                    (failure.detail, failure.story) = (wrong.detail, story);
                }
                _ => from = to,
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2).min(size - 1) };
    }
}

/// Whether it is the same thing that does not hold. Assertions are told apart by what they say.
fn same(wrong: &Wrong, failure: &Failure) -> bool {
    let begins = |text: &str| text.chars().take(24).collect::<String>();
    wrong.law == failure.law && (wrong.law != ASSERTION || begins(&wrong.detail) == begins(&failure.detail))
}
