"""The S3 store where servers and networks fail: refused for the moment, cut off, damaged, killed, silent."""

import hashlib
import threading

import s3_server
from s3_server import Rule, error_body
from s3_test import MIB, S3Test, anything, is_part, request, setUpModule  # noqa: F401


def is_complete(method, path):
    return method == "POST" and "uploadId=" in path


class Faults(S3Test):
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

    def test_success_that_is_none(self):
        self.file("f", 6 * MIB)
        self.proxy.reset(Rule(is_complete, answer=(200, {}, error_body("InternalError"))))
        self.assert_done(self.run_one("put k f"))
        self.assertEqual(len([one for one in self.proxy.requests if is_complete(one[0], one[1])]), 2)
        self.assertEqual(len(self.proxy.seen("POST", "uploads=")), 1)
        self.assert_holds("k", self.random[:6 * MIB])

    def test_an_answer_to_the_end_that_is_lost(self):
        self.file("f", 6 * MIB)
        self.proxy.reset(Rule(is_complete, lose_answer=True), Rule(is_complete, answer=(404, {}, error_body("NoSuchUpload"))))
        self.assert_done(self.run_one("put k f"))
        self.assertEqual(len(self.proxy.seen("POST", "uploads=")), 1)
        self.assert_holds("k", self.random[:6 * MIB])

    def test_an_upload_that_the_server_forgot(self):
        self.file("f", 6 * MIB)
        self.proxy.reset(Rule(is_part, answer=(404, {}, error_body("NoSuchUpload"))))
        self.assert_done(self.run_one("put k f"))
        self.assertEqual(len(self.proxy.seen("POST", "uploads=")), 2)
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
        self.assertEqual(len(self.proxy.seen("DELETE", "uploadId=")), 1)
        self.assert_holds("k", self.random[:12 * MIB])

    def test_the_server_is_killed_and_comes_back(self):
        self.file("f", 24 * MIB)

        def crash():
            self.server.stop(kill=True)
            threading.Timer(0.1, self.server.start).start()

        self.proxy.reset(Rule(is_part, skip=2, then=crash))
        self.assert_done(self.run_one("put k f", retries=6))
        self.assert_holds("k", self.random[:24 * MIB])
        self.assertGreater(len([one for one in self.proxy.requests if is_part(one[0], one[1])]), 5)

    def test_cancelled(self):
        self.file("f", 6 * MIB)
        for rule in (Rule(anything, times=99, answer=(503, {"Retry-After": "30"}, b"")), Rule(is_part, times=99, stall=4)):
            self.proxy.reset(rule)
            _, answer, later = self.run_tool("cancel_after 0.3", "put k f", "list")
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
