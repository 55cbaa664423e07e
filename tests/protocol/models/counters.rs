//! Every design that counts is broken by a request that is executed twice.

use holdfast_protocol::check::breaks;
use holdfast_protocol::counters::{COUNT_EQUALS, Counters, Design, Kind, NO_DANGLING};

#[test]
fn a_late_copy_breaks_every_count() {
    let intents = |kinds: &[Kind]| Counters::new(Design::Intent, kinds);
    breaks("intents: gain, delete", NO_DANGLING, intents(&[Kind::Gain, Kind::Delete]));
    breaks("intents: loss, loss, delete", NO_DANGLING, intents(&[Kind::Loss, Kind::Loss, Kind::Delete]));
    let fences = |kinds: &[Kind]| Counters::new(Design::Fence, kinds);
    breaks("fences: gain", COUNT_EQUALS, fences(&[Kind::Gain]));
    breaks("fences: loss, loss, delete", NO_DANGLING, fences(&[Kind::Loss, Kind::Loss, Kind::Delete]));
}
