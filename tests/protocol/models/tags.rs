//! Tags: what holds, and what each flaw breaks.

use holdfast_protocol::check::{breaks, holds, is_long};
use holdfast_protocol::tags::{Flaw, NOT_STALE, SETTLES, Scenario, Tags};

fn stale(name: &str, flaw: Flaw, scenario: Scenario) {
    breaks(name, NOT_STALE, Tags::new(scenario.with(flaw)));
}

#[test]
fn what_is_read_is_never_older_than_an_acknowledgement() {
    holds("a writer, two readers, two requests late", Tags::new(Scenario::new(1, 2).late(2)));
    holds("two writers, a reader, a request late", Tags::new(Scenario::new(2, 1).late(1)));
    if is_long() {
        holds("two writers, two readers, a request late", Tags::new(Scenario::new(2, 2).late(1)));
    }
}

#[test]
fn answers_may_depend_on_two_tags() {
    let scenario = Scenario { tags: 2, ..Scenario::new(1, 2).late(1) };
    holds("two tags, a writer, two readers", Tags::new(scenario));
    if is_long() {
        holds(
            "two tags, two writers, a reader, two settlers",
            Tags::new(Scenario { writers: 2, readers: 1, settlers: 2, ..scenario }),
        );
    }
}

#[test]
fn settlers_race_with_each_other() {
    let two = |scenario| Tags::new(Scenario { settlers: 2, ..scenario });
    holds("two settlers, a writer, two requests late", two(Scenario::new(1, 1).late(2)));
    holds("two settlers, two writers", two(Scenario::new(2, 1).late(u8::from(is_long()))));
}

#[test]
fn a_replay_is_an_acknowledgement() {
    let scenario = Scenario { replays: true, ..Scenario::new(1, 1).late(1) };
    holds("replays", Tags::new(scenario));
    stale("a replay without a proof", Flaw::ReplayUnproven, scenario);
    stale("a replay that misses the fence", Flaw::ReplayWithoutFence, scenario);
}

#[test]
fn fences_expire_once_nothing_of_their_token_can_be_executed() {
    let scenario = Scenario { expiring: true, ..Scenario::new(1, 2).late(1) };
    holds("fences expire", Tags::new(scenario));
    stale("a fence expires early", Flaw::FenceExpiresEarly, scenario);
}

#[test]
fn a_tag_is_switched_off_and_on_again() {
    let scenario = Scenario { switched: true, ..Scenario::new(1, 1) };
    holds("a switched tag, a request late", Tags::new(scenario.late(1)));
    holds("a switched tag, two writers", Tags::new(Scenario { writers: 2, ..scenario.late(u8::from(is_long())) }));
    stale("on again too early", Flaw::OnEarly, scenario);
    stale("on again under the old stamp", Flaw::OnWithOldStamp, scenario);
}

#[test]
fn each_part_of_the_protocol_is_needed() {
    stale("no fence", Flaw::NoFence, Scenario::new(1, 2));
    stale("no proof", Flaw::NoProof, Scenario::new(1, 2));
    stale("a fence that is put early", Flaw::FencePutEarly, Scenario::new(1, 2).late(1));
    stale("a random version alone", Flaw::RandomVersionAlone, Scenario::new(2, 1).late(1));
    stale("elements ignored", Flaw::ElementsIgnored, Scenario::new(1, 2));
    stale("tags read last", Flaw::TagsReadLast, Scenario::new(1, 2));
    breaks("an element of the dead", SETTLES, Tags::new(Scenario::new(1, 1).with(Flaw::NeverFenced)));
}
