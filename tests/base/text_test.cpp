#include "base/text.h"

#include <doctest/doctest.h>

#include <limits>

using namespace trainctl;

TEST_CASE("edit distance counts single edits and swaps") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("kernel_size", "kernal_size") == 1);
  CHECK(edit_distance("adam", "adma") == 1);
  CHECK(edit_distance("sgd", "adam") == 4);
  CHECK(edit_distance(std::string(100000, 'a'), std::string(100000, 'b')) == 64);
}

TEST_CASE("the nearest name is found, and none where none is near") {
  const std::vector<std::string> names = {"kernel_size", "stride", "padding", "bias"};
  CHECK(nearest("kernal_size", names) == "kernel_size");
  CHECK(nearest("kernel-size", names) == "kernel_size");
  CHECK(nearest("Stride", names) == "stride");
  CHECK(nearest("kernel", names) == "kernel_size");
  CHECK(nearest("learning_rate", names).empty());
  CHECK(nearest("x", {}).empty());
  CHECK(suggestion("pading", names) == " Did you mean 'padding'?");
  CHECK(suggestion("zzzzzz", names) == " Known: kernel_size, stride, padding, bias.");
}

TEST_CASE("text for a terminal carries no control characters and is cut") {
  CHECK(printable("a\x1b[31m\n\t\x7f") == "a\\x1b[31m\\n\\t\\x7f");
  CHECK(printable(std::string(200, 'x'), 10) == "xxxxxxxxxx...");
  CHECK(printable("éééééé", 4) == "éé...");
  CHECK(printable("a\xff\xc3(\xed\xa0\x80\xf0\x9f\x98\x80") == "a\\xff\\xc3(\\xed\\xa0\\x80\xf0\x9f\x98\x80");
}

TEST_CASE("numbers are written shortest and read back") {
  CHECK(number_text(0.1) == "0.1");
  CHECK(number_text(1e-5) == "1e-05");
  CHECK(number_text(3.0) == "3");
  CHECK(number_text(std::numeric_limits<double>::infinity()) == ".inf");
  CHECK(number_text(-std::numeric_limits<double>::infinity()) == "-.inf");
  CHECK(number_text(std::numeric_limits<double>::quiet_NaN()) == ".nan");
}

TEST_CASE("split, join, trim, count") {
  CHECK(split("a..b", '.') == std::vector<std::string>{"a", "", "b"});
  CHECK(split("", '.') == std::vector<std::string>{""});
  CHECK(join({"a", "b"}, ", ") == "a, b");
  CHECK(trimmed("  a b\t\n") == "a b");
  CHECK(counted(1, "error") == "1 error");
  CHECK(counted(0, "error") == "0 errors");
}
