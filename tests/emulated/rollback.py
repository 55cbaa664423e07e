#!/usr/bin/env python3
"""infra/rollback.sh against histories of releases, on a small AWS of its own (rollback_aws.py), as the command `aws` before the real one
in PATH. Releases, failed canaries and rollbacks leave behind what Lambda, CloudFormation and Parameter Store keep of them.

usage: rollback.py        HOLDFAST_ROLLBACK=SCRIPT tries another script
"""
import datetime
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import unittest
import zipfile

from rollback_aws import PREFIX

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.environ.get("HOLDFAST_ROLLBACK", os.path.join(os.path.dirname(os.path.dirname(HERE)), "infra", "rollback.sh"))
FUNCTIONS = ("authorizer", "data", "docs")


class Cloud:
    """A stack, and what happens to it."""

    def __init__(self, directory, recorded=True):
        self.directory, self.path, self.recorded = directory, os.path.join(directory, "state"), recorded
        self.state = {"status": "UPDATE_COMPLETE", "versions": {f: [] for f in FUNCTIONS}, "live": {}, "weights": {}, "stuck": [], "history": [], "mark": {}, "layers": {}}
        self.believed = {}  # by CloudFormation, which does not look where the aliases are

    def publish(self, *functions):
        for function in functions:
            self.state["versions"][function].append(str(len(self.state["versions"][function]) + 1))

    def release(self, *functions):
        """One that changes these, all if none is named."""
        functions = functions or FUNCTIONS
        self.publish(*functions)
        for function in functions:
            self.state["live"][function] = self.believed[function] = self.state["versions"][function][-1]
        self.record()
        return dict(self.state["live"])

    def record(self):
        if self.recorded:
            live = {f"{PREFIX}{function}:live": f"{PREFIX}{function}:{version}" for function, version in self.believed.items()}
            self.state["history"].append(json.dumps({"by": "release", "live": live}))

    def failed_canary(self, *functions):
        """Its versions stay, nothing serves them."""
        self.publish(*(functions or FUNCTIONS))

    def failed_late(self, *functions):
        """A release that moved its aliases and was then taken back by CloudFormation."""
        believed = dict(self.believed)
        self.release(*functions)
        self.believed = believed
        self.state["live"] = dict(believed)
        self.record()

    def rollback(self):
        """Runs the script: whether it succeeded, and what is live then."""
        with open(self.path, "w") as file:
            json.dump(self.state, file)
        environment = {**os.environ, "PATH": f"{self.directory}:{os.environ['PATH']}", "ROLLBACK_STATE": self.path}
        done = subprocess.run([SCRIPT, "stack"], env=environment, capture_output=True, text=True, timeout=60)
        with open(self.path) as file:
            self.state = json.load(file)
        self.said = done.stdout + done.stderr
        return done.returncode == 0, dict(self.state["live"])


class Rollback(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        command = os.path.join(directory.name, "aws")
        with open(command, "w") as file:
            file.write(f'#!/bin/sh\nexec {sys.executable} -SE {HERE}/rollback_aws.py "$@"\n')
        os.chmod(command, 0o755)
        self.cloud = Cloud(directory.name)

    def goes_to(self, expected):
        self.assertEqual(self.cloud.rollback(), (True, expected), self.cloud.said)

    def refuses(self, why):
        before = dict(self.cloud.state["live"])
        history = list(self.cloud.state["history"])
        self.assertEqual(self.cloud.rollback(), (False, before), self.cloud.said)
        self.assertRegex(self.cloud.said, why)
        self.assertEqual(self.cloud.state["history"], history)

    def test_by_one_release(self):
        first = self.cloud.release()
        self.cloud.release()
        self.goes_to(first)

    def test_versions_of_a_failed_canary_are_never_installed(self):
        self.cloud.release()
        before = self.cloud.release()
        self.cloud.failed_canary()
        self.cloud.release()
        self.goes_to(before)

    def test_a_failed_canary_is_not_what_is_taken_back(self):
        first = self.cloud.release()
        self.cloud.release()
        self.cloud.failed_canary()
        self.goes_to(first)

    def test_a_release_that_failed_after_its_record(self):
        first = self.cloud.release()
        self.cloud.release()
        self.cloud.failed_late()
        self.goes_to(first)

    def test_a_release_that_failed_after_a_rollback(self):
        first = self.cloud.release()
        second = self.cloud.release()
        self.goes_to(first)
        self.cloud.failed_late()  # CloudFormation puts back what it believes
        self.assertEqual(self.cloud.state["live"], second)
        self.goes_to(first)

    def test_functions_that_the_release_did_not_change_stay(self):
        self.cloud.release()
        before = self.cloud.release()
        self.cloud.release("data")
        self.goes_to(before)

    def test_twice_goes_back_two(self):
        first = self.cloud.release()
        second = self.cloud.release("data")
        self.cloud.release()
        self.goes_to(second)
        self.goes_to(first)
        self.refuses("nothing is recorded")

    def test_what_was_taken_back_is_not_what_was_live_before(self):
        self.cloud.release()
        before = self.cloud.release()
        self.cloud.release()
        self.goes_to(before)
        self.cloud.release()
        self.goes_to(before)

    def test_a_release_after_a_rollback_moves_only_what_it_changes(self):
        before = self.cloud.release()
        self.cloud.release()
        self.goes_to(before)
        self.cloud.release("docs")
        self.goes_to(before)

    def test_the_first_release_stays(self):
        self.cloud.release()
        self.refuses("nothing is recorded")

    def test_the_first_release_after_a_failed_canary_stays(self):
        self.cloud.failed_canary()
        self.cloud.release()
        self.refuses("nothing is recorded")

    def test_releases_before_the_record_are_not_known(self):
        self.cloud.recorded = False
        self.cloud.release()
        self.cloud.release()
        self.refuses("before releases were recorded")
        self.cloud.recorded = True
        self.cloud.release()
        self.refuses("nothing is recorded")

    def test_aliases_that_were_moved_by_hand_are_not_known(self):
        self.cloud.release()
        self.cloud.release()
        self.cloud.release()
        self.cloud.state["live"]["data"] = "1"
        self.refuses("data:live serves 1, recorded is 3")

    def test_while_a_release_is_under_way(self):
        self.cloud.release()
        self.cloud.release()
        self.cloud.state["status"] = "UPDATE_IN_PROGRESS"
        self.refuses("UPDATE_IN_PROGRESS")
        self.cloud.state["status"], self.cloud.state["weights"] = "UPDATE_COMPLETE", {"data": {"3": 0.1}}
        self.refuses("shifting")

    def test_a_version_that_is_gone(self):
        self.cloud.release()
        self.cloud.release()
        self.cloud.release()
        self.cloud.state["versions"]["docs"].remove("2")
        self.refuses("version 2 .*is gone")

    def test_half_done_is_finished_and_not_gone_beyond(self):
        self.cloud.release()
        before = self.cloud.release()
        after = self.cloud.release()
        self.cloud.state["stuck"] = ["docs"]
        self.assertEqual(self.cloud.rollback(), (False, {**before, "docs": after["docs"]}))
        self.assertRegex(self.cloud.said, "not moved: docs")
        self.cloud.state["stuck"] = []
        self.goes_to(before)

    def test_nothing_done_is_finished_too(self):
        self.cloud.release()
        before = self.cloud.release()
        after = self.cloud.release()
        self.cloud.state["stuck"] = list(FUNCTIONS)
        self.assertEqual(self.cloud.rollback(), (False, after))
        self.cloud.state["stuck"] = []
        self.goes_to(before)

    def migrated(self, after, model):
        """A one-way migration to a model, as long after the release of that number as releases are apart."""
        at = datetime.datetime.fromtimestamp(1800000000 + 100 * after + 50, datetime.timezone.utc).isoformat().replace("+00:00", "Z")
        digest = hashlib.sha256(model.encode()).hexdigest()
        self.cloud.state["mark"] = {"at": at, "model": digest, "version": "Shop 2.0.0", "why": "convert book.pages: string -> integer"}

    def layered(self, version, model):
        """The model of the functions' version, in its layer."""
        path = os.path.join(self.cloud.directory, f"layer{version}.zip")
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("model.yaml", model)
        self.cloud.state["layers"][version] = [path]

    def test_behind_a_migration_there_is_no_way_back(self):
        self.cloud.release()
        self.layered("1", "old")
        self.cloud.release()
        self.migrated(1, "new")
        self.refuses("migrated to Shop 2.0.0.*convert book.pages: string -> integer.*ONE_WAY=yes")

    def test_a_migration_before_the_release_counts_as_well(self):
        self.cloud.release()
        self.layered("1", "old")
        self.migrated(0, "new")
        self.cloud.release()
        self.refuses("convert book.pages")

    def test_where_the_model_cannot_be_found_there_is_no_way_back(self):
        self.cloud.release()
        self.cloud.release()
        self.migrated(1, "new")
        self.refuses("convert book.pages")

    def test_to_the_model_that_the_data_was_migrated_to(self):
        self.cloud.release()
        before = self.cloud.release()
        self.layered("2", "new")
        self.migrated(1, "new")
        self.cloud.release()
        self.goes_to(before)
        self.refuses("convert book.pages")

    def test_to_a_release_from_after_the_migration(self):
        self.cloud.release()
        self.cloud.release()
        self.migrated(1, "new")
        before = self.cloud.release()
        self.layered("3", "newer")
        self.cloud.release()
        self.goes_to(before)

    def test_an_operator_may_go_back_all_the_same(self):
        before = self.cloud.release()
        self.cloud.release()
        self.migrated(1, "new")
        os.environ["ONE_WAY"] = "yes"
        self.addCleanup(os.environ.pop, "ONE_WAY")
        self.goes_to(before)


if __name__ == "__main__":
    unittest.main()
