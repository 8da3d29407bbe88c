"""The S3 store where servers and networks fail: refused for the moment, cut off, damaged, killed, silent."""

import hashlib
import json
import threading

import s3_server
from s3_server import Rule, error_body
from s3_test import MIB, S3Test, anything, is_part, is_trial, request, setUpModule  # noqa: F401


def is_complete(method, path):
    return method == "POST" and "uploadId=" in path


def is_creation(method, path):
    return method == "POST" and "uploads=" in path


class Faults(S3Test):
    def uploads(self):
        """The uploads of files that were begun; one that only tries the server carries no checksum of its file."""
        return [one for one in self.proxy.requests if is_creation(one[0], one[1]) and "x-amz-meta-sha256" in one[2]]

    def parts(self):
        return [one for one in self.proxy.requests if is_part(one[0], one[1])]

    def test_a_busy_server_is_asked_again(self):
        self.file("f", b"content")
        self.proxy.reset(Rule(anything, answer=(503, {}, error_body("SlowDown"))), Rule(anything, answer=(429, {"Retry-After": "1"}, b"")))
        answer = self.run_one("put k f")
        self.assert_done(answer)
        self.assertGreater(answer["seconds"], 1.2)
        self.assertEqual([one[3] for one in self.proxy.requests], [503, 429, 200])

    def test_an_end_to_asking(self):
        self.file("f", b"content")
        self.proxy.reset(Rule(anything, times=9, answer=(500, {}, error_body("InternalError"))))
        self.assert_fails(self.run_one("put k f", retries=1), "unreachable", "500 InternalError")
        self.assertEqual(len(self.proxy.requests), 2)
        self.assert_fails(self.run_one("put k f", retries=0, endpoint="http://127.0.0.1:9"), "unreachable", "127.0.0.1:9")

    def test_broken_connections_while_sending(self):
        self.file("f", 12 * MIB)
        self.proxy.reset(Rule(is_part, cut_request=MIB), Rule(is_part, skip=1, lose_answer=True))
        self.assert_done(self.run_one("put k f"))
        self.assert_holds("k", self.random[:12 * MIB])

    def test_broken_connections_while_receiving(self):
        self.file("f", 12 * MIB)
        self.run_one("put k f", endpoint=self.server.endpoint)
        self.proxy.reset(Rule(request("GET"), cut_answer=5 * MIB), Rule(request("GET"), cut_answer=3 * MIB))
        self.assert_done(self.run_one("get k back"))
        self.assertEqual((self.folder / "back").read_bytes(), self.random[:12 * MIB])
        ranges = [one[2].get("Range") for one in self.proxy.seen("GET")]
        self.assertIsNone(ranges[0])
        self.assertEqual(ranges[2], f"bytes={8 * MIB}-")
        self.assertIn("If-Match", self.proxy.seen("GET")[2][2])

    def test_a_server_that_cannot_go_on(self):
        self.file("f", 3 * MIB)
        self.run_one("put k f")
        whole = self.random[:3 * MIB]
        headers = {"ETag": f'"{hashlib.md5(whole).hexdigest()}"', "x-amz-meta-sha256": hashlib.sha256(whole).hexdigest()}
        self.proxy.reset(Rule(request("GET"), cut_answer=MIB), Rule(request("GET"), answer=(200, headers, whole)))
        self.assert_done(self.run_one("get k back"))
        self.assertEqual(len(self.proxy.requests), 2)
        self.assertEqual((self.folder / "back").read_bytes(), whole)

    def test_an_object_replaced_while_it_is_fetched(self):
        self.file("f", 6 * MIB)
        self.file("g", b"new")
        self.run_one("put k f", endpoint=self.server.endpoint)
        self.proxy.reset(Rule(request("GET"), cut_answer=MIB), Rule(request("GET"), answer=(412, {}, error_body("PreconditionFailed"))))
        self.assert_done(self.run_one("get k back"))
        self.assertEqual((self.folder / "back").read_bytes(), self.random[:6 * MIB])

    def test_no_half_of_a_file_stays(self):
        self.file("f", 2 * MIB)
        self.file("back", b"older")
        self.run_one("put k f")
        self.proxy.reset(Rule(request("GET"), times=9, cut_answer=0))
        self.assert_fails(self.run_one("get k back", retries=1), "unreachable")
        self.proxy.reset(Rule(request("GET"), times=9, flip_answer=True))
        self.assert_fails(self.run_one("get k back"), "damaged", "SHA-256")
        self.assertEqual((self.folder / "back").read_bytes(), b"older")
        self.assert_no_temporaries()
        self.proxy.reset(Rule(request("GET"), flip_answer=True))
        self.assert_done(self.run_one("get k back"))
        self.assertEqual((self.folder / "back").read_bytes(), self.random[:2 * MIB])

    def test_damage_on_the_way_is_seen_by_the_server(self):
        self.file("old", b"old")
        self.file("f", b"new content")
        self.run_one("put k old")
        self.proxy.reset(Rule(request("PUT"), times=99, flip_request=True))
        self.assert_fails(self.run_one("put k f", retries=0), "damaged")
        self.assert_holds("k", b"old")
        self.proxy.reset(Rule(request("PUT"), flip_request=True))
        self.assert_done(self.run_one("put k f"))
        self.assert_holds("k", b"new content")
        self.file("f", 6 * MIB)
        self.proxy.reset(Rule(is_part, flip_request=True))
        self.assert_done(self.run_one("put k f"))
        self.assert_holds("k", self.random[:6 * MIB])

    def test_a_server_that_verifies_sha256_needs_no_md5(self):
        self.file("f", 12 * MIB)
        for answer in self.run_tool("put k f", "put l f"):
            self.assert_done(answer)
        trials = [one for one in self.proxy.requests if is_trial(one[0], one[1])]
        self.assertEqual([one[3] for one in trials], [400, 200])  # once for all files
        self.assertEqual(len(self.parts()), 6)
        for one in self.parts():
            self.assertNotIn("Content-MD5", one[2])
            self.assertIn("x-amz-checksum-sha256", one[2])
        self.assertEqual(len(self.proxy.seen("DELETE", "uploadId=")), 1)  # of what was tried with
        self.assert_holds("l", self.random[:12 * MIB])

    def test_a_server_that_does_not_verify_sha256_is_told_md5(self):
        self.file("f", 6 * MIB)
        taken = (200, {"ETag": '"0123456789abcdef0123456789abcdef"', "x-amz-checksum-sha256": "told"}, b"")
        for rule in (Rule(is_creation, answer=(501, {}, error_body("NotImplemented"))),
                     Rule(is_creation, answer=(400, {}, error_body("InvalidRequest"))),
                     Rule(is_trial, answer=taken), Rule(is_trial, times=2, answer=(400, {}, error_body("InvalidArgument")))):
            self.proxy.reset(rule, Rule(is_part, flip_request=True))
            self.assert_done(self.run_one("put k f"))
            self.assertEqual(self.parts()[0][3], 400)  # the server saw what was damaged on the way
            for one in self.parts():
                self.assertIn("Content-MD5", one[2])
                self.assertNotIn("x-amz-checksum-sha256", one[2])
            self.assert_holds("k", self.random[:6 * MIB])

    def test_a_server_that_cannot_be_tried_just_now(self):
        self.file("f", 6 * MIB)
        self.proxy.reset(Rule(is_trial, answer=(503, {}, error_body("SlowDown"))))
        for answer in self.run_tool("put k f", "put l f"):
            self.assert_done(answer)
        self.assertEqual(["Content-MD5" in one[2] for one in self.parts()], [True, True, False, False])
        self.assert_holds("k", self.random[:6 * MIB])

    def test_what_the_server_tells_of_a_part(self):
        self.file("f", 6 * MIB)
        told = {"ETag": '"0123456789abcdef0123456789abcdef"', "x-amz-checksum-sha256": "bm90IHRoZSBvbmUgdGhhdCB3YXMgc2VudCBieSB1cyE="}
        self.proxy.reset(Rule(is_part, times=9, answer=(200, told, b"")))
        self.assert_fails(self.run_one("put k f"), "damaged", "another SHA-256 of a part")
        self.assertEqual(len(self.uploads()), 3)
        self.assertIsNone(self.server.content(f"{self.prefix}/k"))

    def test_an_object_in_parts_carries_a_checksum_of_checksums(self):
        self.file("f", 12 * MIB)
        self.run_one("put k f")
        pieces = [hashlib.sha256(self.random[at:min(at + 5 * MIB, 12 * MIB)]).digest() for at in range(0, 12 * MIB, 5 * MIB)]
        self.assertEqual(self.uploads()[0][2]["x-amz-meta-sha256"], f"{hashlib.sha256(b''.join(pieces)).hexdigest()}-{5 * MIB}")
        self.proxy.reset(Rule(request("GET"), times=9, flip_answer=True))
        self.assert_fails(self.run_one("get k back"), "damaged", "SHA-256")

    def test_success_that_is_none(self):
        self.file("f", 6 * MIB)
        self.proxy.reset(Rule(is_complete, answer=(200, {}, error_body("InternalError"))))
        self.assert_done(self.run_one("put k f"))
        self.assertEqual(len([one for one in self.proxy.requests if is_complete(one[0], one[1])]), 2)
        self.assertEqual(len(self.uploads()), 1)
        self.assert_holds("k", self.random[:6 * MIB])

    def test_an_answer_to_the_end_that_is_lost(self):
        self.file("f", 6 * MIB)
        self.proxy.reset(Rule(is_complete, lose_answer=True), Rule(is_complete, answer=(404, {}, error_body("NoSuchUpload"))))
        self.assert_done(self.run_one("put k f"))
        self.assertEqual(len(self.uploads()), 1)
        self.assert_holds("k", self.random[:6 * MIB])

    def test_an_upload_that_the_server_forgot(self):
        self.file("f", 6 * MIB)
        self.proxy.reset(Rule(is_part, answer=(404, {}, error_body("NoSuchUpload"))))
        self.assert_done(self.run_one("put k f"))
        self.assertEqual(len(self.uploads()), 2)
        self.assert_holds("k", self.random[:6 * MIB])

    def test_what_a_killed_process_left_is_removed(self):
        self.file("f", 12 * MIB)
        reached = threading.Event()
        self.proxy.reset(Rule(is_part, skip=1, then=reached.set, stall=3))
        process = self.start()
        process.stdin.write("put k f\n")
        process.stdin.flush()
        self.assertTrue(reached.wait(20))
        process.kill()
        self.assertIsNone(self.server.content(f"{self.prefix}/k"))
        self.proxy.reset()
        self.assert_done(self.run_one("put k f"))
        self.assertEqual(len(self.proxy.seen("DELETE", "uploadId=")), 2)  # that, and what the server was tried with
        self.assert_holds("k", self.random[:12 * MIB])

    def test_the_server_is_killed_and_comes_back(self):
        self.file("f", 24 * MIB)

        def crash():
            self.server.stop(kill=True)
            threading.Timer(0.1, self.server.start).start()

        self.proxy.reset(Rule(is_part, skip=2, then=crash))
        self.assert_done(self.run_one("put k f", retries=6))
        self.assert_holds("k", self.random[:24 * MIB])
        self.assertGreater(len(self.parts()), 5)

    def test_cancelled(self):
        self.file("f", 6 * MIB)
        for matches, what in (anything, {"answer": (503, {"Retry-After": "30"}, b"")}), (is_part, {"stall": 4}):
            reached = threading.Event()
            self.proxy.reset(Rule(matches, times=99, then=reached.set, **what))
            process = self.start()
            process.stdin.write("put k f\n")
            process.stdin.flush()
            self.assertTrue(reached.wait(20))
            out, _ = process.communicate("cancel\nlist\n", timeout=60)
            answer, later = [json.loads(line) for line in out.splitlines()]
            self.assert_fails(answer, "cancelled")
            self.assertLess(answer["seconds"], 2.5)
            self.assert_fails(later, "cancelled")

    def test_a_server_that_says_nothing(self):
        self.file("f", b"content")
        self.proxy.reset(Rule(anything, times=9, stall=4))
        answer = self.run_one("put k f", retries=0, timeout="1 s")
        self.assert_fails(answer, "unreachable", "no answer", "nothing came or went for 1.0 s")
        self.assertLess(answer["seconds"], 3.5)


if __name__ == "__main__":
    s3_server.main()
