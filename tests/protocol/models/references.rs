//! Gates, reference rows, fences: what holds, and what each flaw breaks.

use holdfast_protocol::check::{breaks, holds, is_long};
use holdfast_protocol::references::{
    Flaw, NO_DANGLING, OnDelete, Operation, RECORDS, ROWS_EQUAL, Record, References, SETTLES, Scenario, set,
};

const PARENT: usize = 0;
const CHILD: usize = 1;
const OTHER: usize = 2;

/// A parent that nobody refers to.
fn parent() -> [Record; RECORDS] {
    [Record::live(0, 0), Record::default(), Record::default()]
}

/// A parent and a child that refers to it.
fn family() -> [Record; RECORDS] {
    [Record::live(0, 0), Record::live(0, set(&[PARENT])), Record::default()]
}

/// Two parents; a child refers to the first.
fn two_parents() -> [Record; RECORDS] {
    [Record::live(0, 0), Record::live(0, set(&[PARENT])), Record::live(0, 0)]
}

/// A child comes.
fn gain(child: usize) -> Operation {
    Operation::create(child, set(&[PARENT]))
}

fn delete() -> Operation {
    Operation::delete(PARENT)
}

/// With a request that arrives late; where the large instances run, with two of them and two settlers.
fn check(name: &str, scenario: Scenario) {
    let scenario = if is_long() { scenario.late(2).settlers(2) } else { scenario.late(1) };
    holds(name, References::new(scenario));
}

/// The same for scenarios of millions of states: with nothing late, or one request.
fn check_large(name: &str, scenario: Scenario) {
    holds(name, References::new(scenario.late(u8::from(is_long()))));
}

fn dangles(name: &str, flaw: Flaw, scenario: Scenario) {
    breaks(name, NO_DANGLING, References::new(scenario.with(flaw)));
}

#[test]
fn a_child_comes_while_its_parent_is_deleted() {
    let scenario = Scenario::new(parent(), [gain(CHILD), delete()]);
    holds("gain, delete; two requests late", References::new(scenario.clone().late(2)));
    holds("gain, delete; two settlers", References::new(scenario.late(1).settlers(2)));
}

#[test]
fn two_children_come_while_their_parent_is_deleted() {
    let scenario = Scenario::new(parent(), [gain(CHILD), gain(OTHER), delete()]);
    check("gain, gain, delete", scenario.clone());
    check("gain, gain, delete; a gate is there", scenario.gated());
}

#[test]
fn a_write_is_tried_again_with_a_new_token() {
    check("gain, the same again, delete", Scenario::new(parent(), [gain(CHILD), gain(CHILD), delete()]));
}

#[test]
fn a_child_goes_or_changes_while_its_parent_is_deleted() {
    check("delete of the child, delete", Scenario::new(family(), [Operation::delete(CHILD), delete()]));
    let loss = Operation::refer(CHILD, set(&[PARENT]), 0);
    check("loss, gain, delete", Scenario::new(family(), [loss, gain(OTHER), delete()]));
    let edit = Operation::edit(CHILD, set(&[PARENT]));
    check("edit, delete", Scenario::new(family(), [edit, delete()]).restricting(1));
}

#[test]
fn a_child_moves_while_either_parent_is_deleted() {
    let there = Operation::refer(CHILD, set(&[PARENT]), set(&[OTHER]));
    let scenario = Scenario::new(two_parents(), [there, delete(), Operation::delete(OTHER)]);
    check("move, delete, delete", scenario.clone());
    check_large("move, cascade, cascade", scenario.clone().on_delete(OnDelete::Cascade));
    check_large("move, set_null, set_null", scenario.on_delete(OnDelete::SetNull));
}

#[test]
fn a_child_of_two_parents_goes_with_either() {
    let records = [Record::live(0, 0), Record::live(0, set(&[PARENT, OTHER])), Record::live(0, 0)];
    for on_delete in [OnDelete::Cascade, OnDelete::SetNull] {
        let scenario = Scenario::new(records, [delete(), Operation::delete(OTHER)]).on_delete(on_delete);
        check(&format!("two parents: {on_delete:?}"), scenario.clone());
        if on_delete == OnDelete::Cascade {
            breaks("rows of a child that went along", ROWS_EQUAL, References::new(scenario.with(Flaw::RowsLeft)));
        }
    }
}

#[test]
fn children_come_while_a_delete_takes_them_along() {
    for on_delete in [OnDelete::Cascade, OnDelete::SetNull] {
        let edit = Operation::edit(CHILD, set(&[PARENT]));
        let scenario = Scenario::new(family(), [gain(OTHER), edit, delete()]).on_delete(on_delete);
        check(&format!("gain, edit, {on_delete:?}"), scenario);
    }
}

#[test]
fn children_come_while_a_delete_takes_them_along_in_steps() {
    for on_delete in [OnDelete::Cascade, OnDelete::SetNull] {
        let scenario = Scenario::new(family(), [gain(OTHER), delete().in_steps()]).on_delete(on_delete);
        check(&format!("gain, {on_delete:?} in steps"), scenario);
    }
    let scenario = Scenario::new(family(), [gain(OTHER), delete().in_steps()]);
    check("gain, Restrict in steps", scenario.restricting(1));
    let edit = Operation::edit(CHILD, set(&[PARENT]));
    let scenario = Scenario::new(family(), [edit, delete().in_steps(), Operation::create(PARENT, 0)]);
    check("edit, cascade in steps, the parent anew", scenario.on_delete(OnDelete::Cascade));
}

#[test]
fn a_cascade_has_children_of_children() {
    let to_child = Operation::create(OTHER, set(&[CHILD]));
    for of_grandchild in [OnDelete::Restrict, OnDelete::Cascade, OnDelete::SetNull] {
        let mut scenario = Scenario::new(family(), [to_child.clone(), delete()]);
        scenario.on_delete = [OnDelete::Restrict, OnDelete::Cascade, of_grandchild];
        check(&format!("gain of a grandchild, cascade, {of_grandchild:?}"), scenario);
    }
}

#[test]
fn two_delete_the_same_parent() {
    let scenario = Scenario::new(parent(), [gain(CHILD), delete(), delete()]);
    check("gain, delete, delete", scenario.clone());
    check("gain, delete, delete; a gate is there", scenario.clone().gated());
    dangles("opening whoever closed", Flaw::OpenWhoeverClosed, scenario.gated().late(1));
}

#[test]
fn a_parent_comes_again_under_its_id() {
    let again = Operation::create(PARENT, 0);
    let scenario = Scenario::new(parent(), [gain(CHILD), delete(), again]);
    check("gain, delete, the parent anew", scenario.clone());
    check("gain, delete, the parent anew; a gate is there", scenario.gated());
}

#[test]
fn a_transaction_makes_parent_and_child() {
    let both = Operation::create(PARENT, 0).and(gain(CHILD));
    let nothing = [Record::default(); RECORDS];
    check("parent and child, delete", Scenario::new(nothing, [both.clone(), delete()]).restricting(1));
    for on_delete in [OnDelete::Cascade, OnDelete::SetNull] {
        let scenario = Scenario::new(nothing, [both.clone(), delete()]).on_delete(on_delete);
        check(&format!("parent and child, {on_delete:?}"), scenario.clone());
        check(&format!("parent and child at the second of two gates, {on_delete:?}"), scenario.sharded(true));
    }
    let scenario = Scenario::new(nothing, [both.clone(), gain(OTHER), delete()]);
    check_large("parent and child, gain, cascade", scenario.on_delete(OnDelete::Cascade));
    let scenario = Scenario::new(nothing, [both.clone(), both, delete()]);
    check_large("parent and child twice, cascade", scenario.on_delete(OnDelete::Cascade));
}

#[test]
fn a_bulk_refers_to_two_parents_and_moves_a_child_off_the_one_that_it_deletes() {
    let parents = [Record::live(0, 0), Record::default(), Record::live(0, 0)];
    let both = Operation::create(CHILD, set(&[PARENT, OTHER]));
    check_large("gain of two, delete, delete", Scenario::new(parents, [both, delete(), Operation::delete(OTHER)]));
    let away = Operation::refer(CHILD, set(&[PARENT]), set(&[OTHER])).and(delete());
    check("move and delete, delete", Scenario::new(two_parents(), [away, Operation::delete(OTHER)]));
}

#[test]
fn references_from_before_have_no_gates() {
    let scenario = Scenario::new(family(), [gain(OTHER), Operation::delete(CHILD), delete()]).imported();
    check("imported: gain, delete of the child, delete", scenario.clone());
    check_large("imported: gain, delete of the child, cascade", scenario.on_delete(OnDelete::Cascade));
}

#[test]
fn a_record_has_several_gates() {
    for is_registered in [false, true] {
        let scenario = Scenario::new(parent(), [gain(CHILD), gain(OTHER), delete()]).sharded(is_registered);
        check_large(&format!("two gates: gain, gain, delete; registered: {is_registered}"), scenario);
        let scenario = Scenario::new(parent(), [gain(CHILD), delete(), delete()]).sharded(is_registered);
        check_large(&format!("two gates: gain, delete, delete; registered: {is_registered}"), scenario.gated());
    }
}

/// `contention` differs between two versions that run side by side: the deleter knows one gate, the writer two.
#[test]
fn versions_differ_in_the_number_of_gates() {
    let scenario = Scenario::new(parent(), [gain(CHILD), delete().knowing(1)]);
    check("two gates, the deleter's model says one", scenario.clone().sharded(true));
    breaks("two gates, unknown to the deleter", NO_DANGLING, References::new(scenario.sharded(false)));
}

#[test]
fn fences_expire_once_nothing_of_their_token_can_be_executed() {
    check("gain, delete; fences expire", Scenario::new(parent(), [gain(CHILD), delete()]).expiring());
    let again = Operation::create(PARENT, 0);
    check("gain, delete, anew; fences expire", Scenario::new(parent(), [gain(CHILD), delete(), again]).expiring());
}

#[test]
fn without_fences_and_proofs_a_parent_goes_under_its_child() {
    let scenario = Scenario::new(parent(), [gain(CHILD), delete()]);
    dangles("no fence", Flaw::NoFence, scenario.clone());
    dangles("no proof", Flaw::NoProof, scenario.clone());
    dangles("giving up without a fence", Flaw::GiveUpUnfenced, scenario.clone().late(1));
    dangles("a fence expires early", Flaw::FenceExpiresEarly, scenario);
}

#[test]
fn a_delete_must_close_wait_and_ask_again() {
    let scenario = Scenario::new(parent(), [gain(CHILD), delete()]);
    dangles("query before closing", Flaw::QueryBeforeClosing, scenario.clone());
    dangles("elements not awaited", Flaw::ElementsNotAwaited, scenario.clone());
    let dead = References::new(scenario.with(Flaw::ClosedNotSettled));
    breaks("a gate that a dead deleter has closed", SETTLES, dead);
    let steps = Scenario::new(parent(), [gain(CHILD), delete().in_steps()]).on_delete(OnDelete::Cascade);
    dangles("steps that do not say `gone`", Flaw::StepsNotGone, steps.gated());
}

#[test]
fn a_reference_row_must_stay_where_it_is() {
    let scenario = Scenario::new(family(), [Operation::edit(CHILD, set(&[PARENT])), delete()]);
    dangles("rows that move", Flaw::RowsMove, scenario);
}

#[test]
fn a_parent_must_be_confirmed_after_the_announcement_by_a_transaction() {
    let scenario = Scenario::new(parent(), [gain(CHILD), delete()]);
    dangles("the parent is read first", Flaw::ParentReadFirst, scenario.clone());
    dangles("the parent is read plainly", Flaw::ParentReadPlainly, scenario);
    let scenario = Scenario::new(parent(), [gain(CHILD), gain(OTHER), delete()]).on_delete(OnDelete::Cascade);
    dangles("`ok` when settling", Flaw::OkWhenSettling, scenario.late(1));
    let both = Operation::create(PARENT, 0).and(gain(CHILD));
    let nothing = [Record::default(); RECORDS];
    dangles("an own parent unannounced", Flaw::OwnParentUnannounced, Scenario::new(nothing, [both, delete()]));
}
