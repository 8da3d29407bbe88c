"""The S3 store against a real server on loopback, and through a proxy that breaks what servers and networks break."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import s3_server
from s3_server import ADMIN, BUCKET, READER, Proxy, Rule, Server, error_body

TOOL = os.environ.get("REMOTE_TOOL", str(s3_server.SOURCE / "build/release/remote_tool"))
MIB = 1 << 20
SECRETS = [ADMIN[1], READER[1], "wrong/secret+key", "s3cr3t-session-token"]


def anything(method, path):
    return True


def request(wanted, text=""):
    return lambda method, path: method == wanted and text in path


def is_trial(method, path):
    """A part that only tries what checksums the server knows."""
    return method == "PUT" and "partNumber=10000&" in path


def is_part(method, path):
    return method == "PUT" and "partNumber=" in path and not is_trial(method, path)


class Shared:
    """What all tests use: starting a server takes a second."""


def setUpModule():
    Shared.certificate = make_certificate()
    Shared.server = Server(https=Shared.certificate)
    unittest.addModuleCleanup(Shared.server.close)
    Shared.proxy = Proxy(Shared.server)
    unittest.addModuleCleanup(Shared.proxy.close)
    Shared.random = os.urandom(24 * MIB)


def make_certificate():
    if not shutil.which("openssl"):
        return None
    folder = pathlib.Path(tempfile.mkdtemp(prefix="trainctl-ca-"))
    unittest.addModuleCleanup(shutil.rmtree, folder, ignore_errors=True)
    paths = folder / "server.crt", folder / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


class S3Test(Shared, unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="trainctl-s3-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.proxy.reset()
        self.prefix = self.id().split(".")[-1]

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(self.random[:content] if isinstance(content, int) else content)
        return path

    def start(self, keys=ADMIN, environment=None, **fields):
        """The tool, its store at the proxy; a field None is left out."""
        spec = {"type": "s3", "bucket": BUCKET, "prefix": self.prefix, "endpoint": self.proxy.endpoint, "part_size": 5, **fields}
        spec = {name: value for name, value in spec.items() if value is not None}
        (self.folder / "store.yaml").write_text(json.dumps({"remote": spec}))
        full = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        full["HOME"] = str(self.folder)
        if keys:
            full["AWS_ACCESS_KEY_ID"], full["AWS_SECRET_ACCESS_KEY"] = keys
        full.update(environment or {})
        process = subprocess.Popen([TOOL, "store.yaml"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   cwd=self.folder, env=full)
        self.addCleanup(self.reap, process)
        return process

    @staticmethod
    def reap(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def run_tool(self, *commands, expect=0, **options):
        """The answers to commands. Nothing that is said may hold a secret."""
        process = self.start(**options)
        out, self.log = process.communicate("".join(command + "\n" for command in commands), timeout=60)
        for secret in SECRETS:
            self.assertNotIn(secret, out + self.log)
        self.assertEqual(process.returncode, expect, self.log)
        return [json.loads(line) for line in out.splitlines()]

    def run_one(self, command, **options):
        return self.run_tool(command, **options)[0]

    def assert_done(self, answer):
        self.assertNotIn("cause", answer, answer.get("message"))

    def assert_fails(self, answer, cause, *texts):
        self.assertEqual(answer.get("cause"), cause, answer)
        for text in texts:
            self.assertIn(text, answer["message"])

    def assert_holds(self, key, content):
        self.assertEqual(hashlib.sha256(self.server.content(f"{self.prefix}/{key}") or b"none").hexdigest(),
                         hashlib.sha256(content).hexdigest())

    def assert_no_temporaries(self):
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name.endswith(".tmp")], [])


class Objects(S3Test):
    def test_files_go_there_and_back(self):
        sizes = {"empty": 0, "small": 1000, "part": 5 * MIB, "parts": 12 * MIB + 1}
        for name, size in sizes.items():
            self.file(name, size)
        answers = self.run_tool(*[f"put a/b+c=d&e,f/{name} {name}" for name in sizes], *[f"get a/b+c=d&e,f/{name} {name}.back" for name in sizes],
                                "list", "list a/b", "list c", "find a/b+c=d&e,f/parts", "find none", "get none x", endpoint=self.server.endpoint)
        *transfers, everything, below, nothing, found, none, got = answers
        for answer in transfers:
            self.assert_done(answer)
        for name, size in sizes.items():
            self.assertEqual((self.folder / f"{name}.back").read_bytes(), self.random[:size])
        self.assertEqual(everything["objects"], {f"a/b+c=d&e,f/{name}": size for name, size in sizes.items()})
        self.assertEqual(below["objects"], everything["objects"])
        self.assertEqual(nothing["objects"], {})
        self.assertEqual(found["bytes"], 12 * MIB + 1)
        self.assertNotIn("bytes", none)
        self.assert_fails(got, "missing", f"s3://{BUCKET}/{self.prefix}/none")
        self.assert_holds("a/b%2Bc=d&e,f/parts", self.random[:12 * MIB + 1])
        self.assert_no_temporaries()

    def test_an_object_is_replaced_and_removed(self):
        self.file("old", b"old")
        self.file("new", b"new content")
        *done, found, again = self.run_tool("put k old", "put k new", "get k back", "remove k", "remove k", "find k", "put k new")
        for answer in done + [again]:
            self.assert_done(answer)
        self.assertNotIn("bytes", found)
        self.assertEqual((self.folder / "back").read_bytes(), b"new content")

    def test_the_bucket_in_the_hosts_name(self):
        self.file("f", 6 * MIB)
        *done, listed = self.run_tool("put a+b f", "get a+b back", "list", addressing="virtual",
                                      endpoint=f"http://localhost:{self.server.port}")
        for answer in done:
            self.assert_done(answer)
        self.assertEqual(listed["objects"], {"a+b": 6 * MIB})
        self.assert_holds("a%2Bb", self.random[:6 * MIB])

    def test_long_lists_come_in_pages(self):
        self.file("f", b"x")
        keys = [f"k/{i:04}" for i in range(1003)]
        answers = self.run_tool(*[f"put {key} f" for key in keys], "list", endpoint=self.server.endpoint)
        self.assertEqual(list(answers[-1]["objects"]), keys)

    @unittest.skipUnless("FAULT_SHIM" in os.environ, "AddressSanitizer wants memory of its own")
    def test_memory_stays_small(self):
        with open(self.folder / "large", "wb") as file:
            file.truncate(200 * MIB)
        answer = self.run_one("put large large", endpoint=self.server.endpoint, part_size=64)
        self.assert_done(answer)
        self.assertLess(answer["peak_bytes"], 64 * MIB)

    def test_a_file_that_shrinks_is_an_error(self):
        self.file("f", 12 * MIB)
        self.proxy.reset(Rule(is_part, then=lambda: os.truncate(self.folder / "f", 6 * MIB)))
        answer, listed = self.run_tool("put k f", "list")
        self.assert_fails(answer, "other", "f: was cut short while it was copied")
        self.assertEqual(listed["objects"], {})
        self.assertTrue(self.proxy.seen("DELETE", "uploadId="))

    def test_what_cannot_be_a_key_or_a_file(self):
        self.file("f", b"x")
        dots, none, folder = self.run_tool("put a/../b f", "put a none", "put a .")
        self.assert_fails(dots, "other", "'..'")
        self.assert_fails(none, "other", "none: cannot open")
        self.assert_fails(folder, "other", "not a regular file")
        self.assertEqual(self.proxy.requests, [])


class Refusals(S3Test):
    def refused(self, *texts, command="put k f", requests=1, **options):
        self.file("f", b"content")
        self.assert_fails(self.run_one(command, **options), "refused", *texts)
        self.assertLessEqual(len(self.proxy.requests), requests)  # what is definite is not tried again

    def test_wrong_keys(self):
        wrong = (ADMIN[0], "wrong/secret+key")
        self.refused("secret key", "AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch", keys=wrong)
        self.proxy.reset()
        self.refused("SignatureDoesNotMatch", command="find k", keys=wrong, requests=2)
        self.proxy.reset()
        self.refused("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId", keys=("AKUNKNOWN", "wrong/secret+key"))

    def test_who_may_only_read(self):
        self.file("f", b"content")
        self.assert_done(self.run_one("put k f"))
        self.proxy.reset()
        self.refused("does not allow", f"s3://{BUCKET}/{self.prefix}", "AccessDenied", keys=READER)
        self.assert_done(self.run_one("get k back", keys=READER))

    def test_no_such_bucket(self):
        for command in ("put k f", "find k", "get k g", "list"):
            self.proxy.reset()
            self.refused("no bucket 'none-of-that-name'", bucket="none-of-that-name", command=command, requests=2)

    def test_a_wrong_clock(self):
        if "FAULT_SHIM" not in os.environ:
            self.skipTest("no shim in this build")
        self.refused("clock is 2 h 00 min ahead of", "RequestTimeTooSkewed",
                     environment={"LD_PRELOAD": os.environ["FAULT_SHIM"], "CLOCK_AHEAD": "7200"})

    def test_another_region(self):
        self.proxy.reset(Rule(anything, answer=(301, {"x-amz-bucket-region": "eu-west-7"}, error_body("PermanentRedirect"))))
        self.refused("is in the region eu-west-7, not in us-east-1", "region: eu-west-7")
        self.proxy.reset(Rule(anything, answer=(400, {}, error_body("AuthorizationHeaderMalformed", Region="eu-x-2"))))
        self.refused("eu-x-2")

    def test_full_and_too_large(self):
        for status, code in ((507, "XMinioStorageFull"), (403, "QuotaExceeded"), (507, "InsufficientStorage")):
            self.proxy.reset(Rule(anything, answer=(status, {}, error_body(code))))
            self.refused("no space left", BUCKET, code)
        self.proxy.reset(Rule(anything, answer=(400, {}, error_body("EntityTooLarge"))))
        self.refused("larger than")

    def test_what_is_no_s3(self):
        page = (200, {"Content-Type": "text/html"}, b"<html><body>hello<br></body></html>")
        self.proxy.reset(Rule(anything, answer=page))
        self.refused("not as S3's", self.proxy.endpoint, command="list")
        self.proxy.reset(Rule(anything, answer=(404, {}, b"<html>no</html>")))
        self.refused("check the endpoint")

    def test_words_of_a_server_are_cut_and_cleaned(self):
        said = "see \x1b[31m " + ADMIN[1] + " and " + "x" * 5000
        self.proxy.reset(Rule(anything, answer=(400, {}, error_body("Odd", said))))
        self.file("f", b"content")
        answer = self.run_one("put k f")
        self.assert_fails(answer, "refused", "400 Odd", "***")
        self.assertLess(len(answer["message"]), 600)
        self.assertNotIn("\x1b", answer["message"])

    def test_certificates(self):
        if not self.certificate:
            self.skipTest("there is no openssl")
        endpoint = f"https://127.0.0.1:{self.server.https_port}"
        self.refused("certificate", "AWS_CA_BUNDLE", endpoint=endpoint)
        self.assert_done(self.run_one("put k f", endpoint=endpoint, environment={"AWS_CA_BUNDLE": str(self.certificate[0])}))

    def test_a_full_disk(self):
        full = Server("-volume.max=1", "-master.volumeSizeLimitMB=5")
        self.addCleanup(full.close)
        self.file("f", 5 * MIB)
        answers = self.run_tool(*[f"put k{i} f" for i in range(4)], endpoint=full.endpoint, retries=0)
        self.assert_done(answers[0])
        self.assert_fails(answers[-1], "unreachable", "InternalError")  # this server says no more


class Credentials(S3Test):
    def test_a_profile(self):
        self.file("f", b"content")
        (self.folder / "keys").write_text(f"# mine\n[other]\naws_access_key_id = no\n\n[lab]\naws_access_key_id={ADMIN[0]}\n"
                                          f"aws_secret_access_key = {ADMIN[1]}\n")
        (self.folder / "config").write_text(f"[default]\nregion = no\n[profile lab]\nregion = eu-x-1\ns3 =\n  region = no\n"
                                            f"endpoint_url = {self.proxy.endpoint}\n")
        places = {"AWS_SHARED_CREDENTIALS_FILE": "keys", "AWS_CONFIG_FILE": "config", "AWS_PROFILE": "lab"}
        self.assert_done(self.run_one("put k f", keys=None, environment=places, endpoint=None, addressing="path"))
        self.assertIn("/eu-x-1/s3/", self.proxy.requests[0][2]["Authorization"])

    def test_what_is_missing_is_named(self):
        self.run_tool(keys=None, expect=6)
        self.assertIn("no credentials: set AWS_ACCESS_KEY_ID", self.log)
        self.run_tool(keys=None, environment={"AWS_ACCESS_KEY_ID": "x"}, expect=6)
        self.assertIn("AWS_SECRET_ACCESS_KEY is not", self.log)
        self.run_tool(keys=(ADMIN[0], ADMIN[1] + "\n"), expect=6)
        self.assertIn("secret key", self.log)

    def test_a_session_token_is_signed(self):
        self.run_one("list", environment={"AWS_SESSION_TOKEN": "s3cr3t-session-token"})
        headers = self.proxy.requests[0][2]
        self.assertEqual(headers["x-amz-security-token"], "s3cr3t-session-token")
        self.assertIn("x-amz-security-token", headers["Authorization"].split("SignedHeaders=")[1].split(",")[0])

    def test_renewed_keys_are_read(self):
        self.file("f", b"content")
        keys = self.folder / ".aws/credentials"
        keys.parent.mkdir()

        def write(secret):
            keys.write_text(f"[default]\naws_access_key_id = {ADMIN[0]}\naws_secret_access_key = {secret}\n")

        write("wrong/secret+key")
        expired = (400, {}, error_body("ExpiredToken"))
        self.proxy.reset(Rule(anything, answer=expired, then=lambda: write(ADMIN[1])))
        self.assert_done(self.run_one("put k f", keys=None))
        write("wrong/secret+key")
        self.proxy.reset(Rule(request("HEAD"), answer=(400, {}, b"")), Rule(request("GET"), answer=expired, then=lambda: write(ADMIN[1])))
        self.assertEqual(self.run_one("find k", keys=None)["bytes"], 7)
        self.proxy.reset(Rule(anything, answer=expired))
        self.assert_fails(self.run_one("put k f", keys=None), "refused", "expired", "profile 'default'")
        self.assertEqual(len(self.proxy.requests), 1)


if __name__ == "__main__":
    s3_server.main()
